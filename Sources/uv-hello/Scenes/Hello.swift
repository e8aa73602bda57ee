import ArgumentParser
import UVLoop

/// The first program on any event loop, and the question of this tour, asked before and after a wait.
struct Hello: Scene {
  static let name = "hello"
  static let title = "A wait on the loop: the same thread before and after"
  static let example = "--sleep 200ms"

  @Option(in: "1ms"..."1m", "How long to sleep between the two words") var sleep: Span = "1s"
  @OptionGroup var format: FormatOptions

  func play(on loop: EventLoop, _ output: Output) throws {
    // The main thread waits here. The body runs on the loop's thread, which sleeps in the kernel while it has nothing
    // to do.
    try loop.runBlocking { loop in
      let start = loop.clock.now
      let before = ThreadIdentity.current
      output.say("Hello …")
      try await loop.sleep(for: sleep.duration)
      output.say("… World!")
      let after = ThreadIdentity.current

      output.fact("slept", .time(start.duration(to: loop.clock.now)))
      output.fact("before the wait", .thread(before))
      output.fact("after the wait", .thread(after))
      output.fact("same thread", .flag(before == after))
      output.fact("am I on the loop", .flag(loop.isCurrent))
    }
  }
}
