import NIOCore
import NIOPosix

/// A loop, one callback, the end.
@main
struct Startup {
  static func main() throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    try group.next().submit {}.wait()
    try group.syncShutdownGracefully()
  }
}
