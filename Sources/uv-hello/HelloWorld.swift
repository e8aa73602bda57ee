import UVLoop

/// The first program on any event loop. While it waits, the loop's thread sleeps in the kernel.
func helloWorld(on loop: isolated EventLoop) async throws {
  let start = loop.clock.now
  say("   Hello …")
  try await loop.sleep(for: .seconds(1))
  say("   … World!")
  fact("slept", text(start.duration(to: loop.clock.now)))
}
