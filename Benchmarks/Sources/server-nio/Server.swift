import Glibc
import NIOCore
import NIOPosix

/// A server on SwiftNIO, on one event loop, as `tcpload` calls it: `server-nio PEER WORK [PATH]`.
@main
struct Server {
  /// What the load takes for: not this work.
  private static let declined: Int32 = 3

  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count >= 3 else { exit(64) }
    let path = arguments.count > 3 ? arguments[3] : nil
    switch (arguments[1], arguments[2]) {
    case ("nio", "echo"), ("nio", "unix"): try await Handlers.serve(on: path) { [EchoHandler()] }
    case ("nio", "lines"):
      try await Handlers.serve(on: path) { [ByteToMessageHandler(LineDecoder()), EchoHandler()] }
    case ("nio", "slow"): try await Handlers.serve(on: path, sendRoom: sendRoom) { [SlowHandler()] }
    case ("nio", "fair"):
      Ticks.start(on: group.next())
      try await Handlers.serve(on: path) { [EchoHandler()] }
    case ("nio", "udp"): try await Datagrams.serve { DatagramEchoHandler() }
    case ("nio", "flood"): try await Datagrams.serve { DatagramCountHandler() }
    case ("nio-async", "echo"), ("nio-async", "unix"): try await Async.serve(on: path, Async.echo)
    case ("nio-async", "slow"):
      try await Async.serve(on: path, sendRoom: sendRoom, halfClosing: true, Async.sendSlowly)
    default: exit(declined)
    }
  }

  /// Else the kernel may take all that slow readers are sent.
  private static let sendRoom = 16 * 1_024

  static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  static func bootstrap(sendRoom: Int?) -> ServerBootstrap {
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 4_096)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    guard let sendRoom else { return bootstrap }
    return bootstrap.childChannelOption(.socketOption(.so_sndbuf), value: sendRoom)
  }

  /// Tells the load where the server listens.
  static func announce(_ channel: any Channel) {
    print(channel.localAddress?.port ?? 0)
    fflush(nil)
  }
}

/// What slow readers are sent: a MiB, in pieces that are made when the one before is out.
enum Pieces {
  static let count = 16
  static let size = 65_536

  static func make(_ piece: Int, with allocator: ByteBufferAllocator) -> ByteBuffer {
    var buffer = allocator.buffer(capacity: size)
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { bytes in
      for i in 0..<size { bytes[i] = UInt8(truncatingIfNeeded: i ^ i >> 8 ^ piece) }
      return size
    }
    return buffer
  }
}

/// Prints how late a timer of 10 ms is, in us, each time.
enum Ticks {
  static func start(on loop: any EventLoop) {
    let due = NIODeadline.now() + .milliseconds(10)
    loop.scheduleTask(deadline: due) {
      print((NIODeadline.now() - due).nanoseconds / 1_000)
      fflush(nil)
      start(on: loop)
    }
  }
}
