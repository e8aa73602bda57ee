#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension EventLoop {
  /// Connects.
  public nonisolated(nonsending) func connect<Stream: ByteStream>(
    to endpoint: StreamEndpoint<Stream>, timeout: Duration? = nil, options: ByteStream.Options = .init()
  ) async throws -> Stream {
    try Task.checkCancellation()
    try core.requireRunning("EventLoop.connect")
    try options.validate("EventLoop.connect")
    guard let timeout else { return unsafe unsafeDowncast(try await connect(to: endpoint.place, options), to: Stream.self) }
    do {
      // Holds because an endpoint's kind is that of its streams.
      return unsafe unsafeDowncast(
        try await withTimeout(timeout) { try await connect(to: endpoint.place, options) }, to: Stream.self)
    } catch let error as UVError where error.code == .timedOut && error.call == "withTimeout" {
      throw UVError(
        .timedOut, call: "EventLoop.connect",
        "\(endpoint) has not answered within \(timeout.text), the timeout of the call.")
    }
  }

  /// On the loop.
  private func connect(to place: StreamPlace, _ options: ByteStream.Options) async throws -> ByteStream {
    switch place {
    case .socket(let address) where address.family == .unix: return try await connect(toUnix: address, options)
    case .socket(let address): return try await Connecting(core, to: [address], options).stream()
    case .allInterfaces(let port): return try await Connecting(core, to: [.loopback(port: port)], options).stream()
    case .name(let host, let port):
      return try await Connecting(core, to: try await resolve(host, port: port), options).stream()
    }
  }

  /// Not by libuv, which cuts a name that is too long for it, and knows no abstract ones.
  private func connect(toUnix address: SocketAddress, _ options: ByteStream.Options) async throws -> ByteStream {
    // The kernel never makes a caller wait for a Unix socket: it is connected at once, or the listener's queue is full,
    // and nothing says when it is no longer.
    var pause = Duration.milliseconds(1)
    while true {
      if let stream = try open(unix: address, options) { return stream }
      try await sleep(for: pause)
      pause = min(pause * 2, .milliseconds(50))
    }
  }

  @inline(never)
  private func open(unix address: SocketAddress, _ options: ByteStream.Options) throws -> ByteStream? {
    let call = "EventLoop.connect"
    try core.requireOnLoop(call)
    let descriptor = try check(Socket.make(AF_UNIX), call)
    let status = unsafe address.withUnsafeBytes { unsafe Socket.connect(descriptor, $0) }
    if status < 0 {
      Posix.close(descriptor)
      if UVError.Code(rawValue: status) == .resourceTemporarilyUnavailable { return nil }
      throw UVError(status: status, call: call, hint: "The socket is \(address).")
    }
    return try core.stream(
      descriptor, isUnix: true, options,
      StreamAddresses(local: ListeningSocket.localAddress(of: descriptor), peer: address))
  }
}
