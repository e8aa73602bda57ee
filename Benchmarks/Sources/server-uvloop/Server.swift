import Glibc
import UVLoop

/// The library's servers, on one loop or a group of them, as `tcpload` calls them:
/// `server-uvloop PEER WORK [PATH | PORT]`.
@main
struct Server {
  /// What the load takes for: not this work.
  private static let declined: Int32 = 3

  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count >= 3 else { exit(64) }
    let argument = arguments.count > 3 ? arguments[3] : ""
    if let distribution = distribution(of: arguments[1]) {
      switch arguments[2] {
      case "echo": return try await serveOnLoops(distribution) { try await Echo.borrow($0, $1) }
      case "busy": return try await serveOnLoops(distribution) { try await answerAfterComputing($0, $1) }
      default: exit(declined)
      }
    }
    try await withEventLoop { loop in
      switch (arguments[1], arguments[2]) {
      case (let peer, "unix"):
        guard let echo = Echo(peer) else { exit(declined) }
        try await echo.serve(loop, listening(loop, on: .unix(argument)))
      case (let peer, "echo"):
        guard let echo = Echo(peer) else { exit(declined) }
        try await echo.serve(loop, listening(loop, on: .loopback(port: 0)))
      case (let peer, "fair"):
        guard let echo = Echo(peer) else { exit(declined) }
        try startTicks(loop)
        try await echo.serve(loop, listening(loop, on: .loopback(port: 0)))
      case ("uvloop-swift", "busy"):
        try await listening(loop, on: .loopback(port: 0)).serve { try await answerAfterComputing($0, $1) }
      case ("uvloop-swift", "lines"): try await serveLines(listening(loop, on: .loopback(port: 0)))
      case ("uvloop-swift-array", "lines"): try await serveLinesAsArrays(listening(loop, on: .loopback(port: 0)))
      case ("uvloop-swift", "proxy"):
        guard let port = UInt16(argument) else { exit(64) }
        try await proxy(listening(loop, on: .loopback(port: 0)), to: .loopback(port: port))
      case ("uvloop-swift", "slow"):
        // Else the kernel may take all that slow readers are sent.
        try await serveSlowly(listening(loop, on: .loopback(port: 0), sendRoom: 16 * 1_024))
      case (let peer, "udp"):
        guard let answers = DatagramEcho(peer) else { exit(declined) }
        try await answers.serve(loop, bound(loop))
      case ("uvloop-swift", "flood"): try await countDatagrams(loop, bound(loop))
      default: exit(declined)
      }
    }
  }

  private static func distribution(of peer: String) -> EventLoopGroup.Distribution? {
    switch peer {
    case "uvloop-swift-group": .leastConnections
    case "uvloop-swift-reuseport": .reusePort
    default: nil
    }
  }

  /// Four of them, also where there are fewer CPUs.
  private static func serveOnLoops(
    _ distribution: EventLoopGroup.Distribution,
    _ answer: @escaping @Sendable (isolated EventLoop, TCPStream) async throws -> Void
  ) async throws {
    try await withEventLoopGroup(count: 4) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      tell(listener)
      try await listener.serve { loop, stream in try await answer(loop, stream) }
    }
  }

  /// Binds a socket for datagrams, and tells the load where.
  private static func bound(_ loop: isolated EventLoop) async throws -> UDPSocket {
    let socket = try await loop.bindUDP(to: .loopback(port: 0))
    print(socket.localAddress.port ?? 0)
    fflush(nil)
    return socket
  }

  /// Listens, and tells the load where.
  private static func listening<Stream: ByteStream>(
    _ loop: isolated EventLoop, on endpoint: StreamEndpoint<Stream>, sendRoom: Int? = nil
  ) async throws -> Listener<Stream> {
    var options = Listener<Stream>.Options()
    options.stream.sendBufferSize = sendRoom
    // More than a load has on its way, since a callback cannot wait.
    options.stream.writeQueueLimit = 2 * 1_024 * 1_024
    let listener = try await loop.listen(on: endpoint, options: options)
    tell(listener)
    return listener
  }

  private static func tell(_ listener: Listener<some ByteStream>) {
    print(listener.address.port ?? 0)
    fflush(nil)
  }
}
