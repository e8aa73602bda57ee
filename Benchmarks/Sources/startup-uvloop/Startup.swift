import UVLoop

/// A loop, one callback, the end.
@main
struct Startup {
  static func main() throws {
    let loop = try EventLoop()
    try loop.post {}
    try loop.shutdownBlocking()
  }
}
