import Foundation
import UVLoop

/// The demo: five scenes on one loop, each in a file of its own, to be read beside its output.
@main
enum UVHello {
  /// Not `async`, so that scene 2 shows the real main thread: the code of an asynchronous `main` leaves that thread on
  /// Linux as soon as it waits. A plain thread, as this one is, reaches the loop through `runBlocking`.
  static func main() {
    if CommandLine.arguments.count > 1 {
      complain("usage: uv-hello\nIt takes no arguments.")
      exit(EX_USAGE)
    }
    do {
      let loop = try EventLoop(.init(name: "hello-loop"))
      say("UVLoop on libuv \(LibUVVersion.running)")
      try scene(1, "A second on the loop") { try loop.runBlocking { loop in try await helloWorld(on: loop) } }
      try scene(2, "Two threads, the same questions") { try twoThreads(loop) }
      try scene(3, "A blocking call, and a timer") { try loop.runBlocking { loop in try await blockingCall(on: loop) } }
      try scene(4, "A thousand wakes") { try loop.runBlocking { loop in try await wakes(on: loop) } }
      try scene(5, "Shutdown") { try shutdown(loop) }
    } catch {
      complain("uv-hello: \(error)")
      exit(EXIT_FAILURE)
    }
  }

  private static func scene(_ number: Int, _ title: String, _ play: () throws -> Void) rethrows {
    say("\n\(number)  \(title)\n")
    try play()
  }
}
