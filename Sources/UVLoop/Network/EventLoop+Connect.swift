#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension EventLoop {
  /// Connects to an endpoint, whose type says of which kind the stream is.
  ///
  /// ```swift
  /// let web = try await loop.connect(to: .tcp("example.org", 80), timeout: .seconds(5))  // a TCPStream
  /// let service = try await loop.connect(to: .unix("/run/greet.sock"))  // a PipeStream
  /// ```
  ///
  /// A host name is looked up as ``resolve(_:port:service:family:)`` does it. Its addresses are then tried as RFC 8305
  /// asks ("Happy Eyeballs"): IPv6 and IPv4 in turn, each for ``ByteStream/Options/attemptDelay`` before the next one
  /// is tried beside it, or until it fails. The first that answers is the connection, and all others are closed.
  ///
  /// A Unix socket whose queue is full is tried again, after 1 ms first and 50 ms at last: without a `timeout` for as
  /// long as that takes.
  ///
  /// - Parameters:
  ///   - endpoint: Where to connect. ``StreamEndpoint/allInterfaces(port:)`` is this machine, by IPv4.
  ///   - timeout: How long it may take, with the look-up and all attempts; nil leaves it to the system, which gives an
  ///     address that does not answer about two minutes on Linux. With zero or less nothing is tried.
  ///   - options: Of the stream.
  /// - Returns: The stream, which belongs to this loop, and is the caller's to close.
  /// - Throws: If no address answers, the error of the attempt that failed last, with the errors of all addresses in
  ///   its message: ``UVError/Code/connectionRefused``, ``UVError/Code/connectionTimedOut``,
  ///   ``UVError/Code/networkUnreachable`` and the like. ``UVError/Code/timedOut`` when `timeout` is over; what
  ///   ``resolve(_:port:service:family:)`` throws for a name; ``UVError/Code/noSuchFileOrDirectory`` for a Unix socket
  ///   that is not there; ``UVError/Code/tooManyOpenFiles``; ``UVError/Code/invalidArgument`` for options that are not
  ///   possible; ``UVError/Code/loopClosed`` when the loop shuts down, or has; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait at once, and closes all attempts.
  ///
  /// > libuv: `uv_tcp_connect`, with `uv_tcp_bind` for ``ByteStream/Options/localAddress``. Not `uv_pipe_connect`,
  /// which in libuv 1.44 cuts a name that is too long, and knows no abstract ones.
  public nonisolated(nonsending) func connect<Stream: ByteStream>(
    to endpoint: StreamEndpoint<Stream>, timeout: Duration? = nil, options: ByteStream.Options = .init()
  ) async throws -> Stream {
    try Task.checkCancellation()
    try requireRunning("EventLoop.connect")
    try options.validate("EventLoop.connect")
    guard let timeout else {
      return unsafe unsafeDowncast(try await connect(to: endpoint.location, options), to: Stream.self)
    }
    do {
      // Holds because an endpoint's kind is that of its streams.
      return unsafe unsafeDowncast(
        try await withTimeout(timeout) { try await connect(to: endpoint.location, options) }, to: Stream.self)
    } catch let error as UVError where error.code == .timedOut && error.call == "withTimeout" {
      throw UVError(
        .timedOut, call: "EventLoop.connect",
        "\(endpoint) has not answered within \(timeout.text), the timeout of the call.")
    }
  }

  /// On the loop.
  private func connect(to location: StreamLocation, _ options: ByteStream.Options) async throws -> ByteStream {
    switch location {
    case .socket(let address) where address.family == .unix: return try await connect(toUnix: address, options)
    case .socket(let address): return try await Connecting(core, to: [address], options).stream()
    case .allInterfaces(let port): return try await Connecting(core, to: [.loopback(port: port)], options).stream()
    case .name(let host, let port):
      return try await Connecting(core, to: try await resolve(host, port: port), options).stream()
    case .activated:
      throw UVError(
        .invalidArgument, call: "EventLoop.connect",
        "\(location) is a socket that this process was passed to listen on. Connect to its address.")
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
    try requireOnLoop(call)
    let descriptor = try check(Socket.make(AF_UNIX), call)
    let status = unsafe address.withUnsafeBytes { unsafe Socket.connect(descriptor, $0) }
    if status < 0 {
      Posix.close(descriptor)
      if UVError.Code(rawValue: status) == .resourceTemporarilyUnavailable { return nil }
      throw UVError(status: status, call: call, hint: "The socket is \(address).")
    }
    return try ByteStream.make(
      descriptor, isUnix: true, on: core, options,
      StreamAddresses(local: ListeningSocket.localAddress(of: descriptor), peer: address))
  }
}
