import Synchronization
import Testing

@testable import UVLoop

/// Looking for work before going to sleep.
@Suite(.alone) struct SpinTests {
  private static let hasTwoCPUs = CPUs.allowed.count > 1

  private final class Answer: Sendable {
    let round = Atomic<Int>(0)
  }

  @Test(.enabled(if: hasTwoCPUs)) func `posts from another CPU to a loop that looks wake nobody`() async {
    // A thread that keeps a CPU busy until it is answered has no business beside other tests.
    await #expect(processExitsWith: .success) {
      let loop = try EventLoop(.init(name: "spinning", spin: .milliseconds(10)))
      CPUs.keep(loop.thread.kernelID, on: CPUs.allowed[0])
      let (answer, done) = (Answer(), Event("the last round"))
      let wakes = try await loop.probe.wakes {
        PlainThread {
          CPUs.keep(0, on: CPUs.allowed[1])
          for round in 1...1_000 {
            do { try loop.post { answer.round.store(round, ordering: .releasing) } } catch { return }
            while answer.round.load(ordering: .acquiring) != round {}
          }
          done.signal()
        }
        try await done.wait()
      }
      #expect(wakes < 100)
      await loop.shutdown()
    }
  }

  @Test(.enabled(if: hasTwoCPUs)) func `a loop does not look for what was posted on its own CPU`() async throws {
    let done = Event("the end of the look")
    let spin = LoopSpin(for: .seconds(60))
    PlainThread {
      CPUs.keep(0, on: CPUs.allowed[0])
      spin.noteArrival()
      spin.noteTaken()
      spin.run(atMost: .max)
      done.signal()
    }
    try await done.wait()
    #expect(spin.spins == 1)
  }

  @Test func `a look ends with its time, and with the next timer's`() {
    let (short, long) = (LoopSpin(for: .milliseconds(1)), LoopSpin(for: .seconds(60)))
    short.noteArrival()
    short.noteTaken()
    short.run(atMost: .max)
    long.noteArrival()
    long.noteTaken()
    long.run(atMost: 1_000_000)
    #expect(short.spins == 1 && long.spins == 1)
  }

  @Test func `where nothing has come since the last look there is none`() {
    let spin = LoopSpin(for: .milliseconds(1))
    spin.run(atMost: .max)
    #expect(spin.spins == 0)
    spin.noteArrival()
    spin.noteTaken()
    for _ in 0..<3 { spin.run(atMost: .max) }
    #expect(spin.spins == 1)
  }

  @Test func `there is no look past what has come and was not taken`() {
    let spin = LoopSpin(for: .seconds(60))
    spin.noteArrival()
    spin.noteTaken()
    // Between the end of the last iteration's work and the look.
    spin.noteArrival()
    spin.run(atMost: .max)
    #expect(spin.spins == 0)
  }

  @Test func `a loop that only its timers wake does not look`() async throws {
    let loop = try EventLoop(.init(name: "ticking", spin: .milliseconds(10)))
    let looks = try await loop.run { loop in
      // The first one is for the message that brought this here, in the first poll that may wait.
      while loop.metrics.spins == 0 { try await loop.sleep(for: .milliseconds(1)) }
      let before = loop.metrics.spins
      for _ in 0..<20 { try await loop.sleep(for: .milliseconds(1)) }
      return (before, loop.metrics.spins)
    }
    #expect(looks.0 == looks.1)
    await loop.shutdown()
  }

  @Test func `a loop without it never looks`() async throws {
    try await withTestLoop { loop, _ in
      for _ in 0..<20 { await loop.run { _ in } }
      #expect(loop.metrics.spins == 0)
    }
  }

  @Test(arguments: [Duration.nanoseconds(-1), .seconds(-1), .milliseconds(10) + .nanoseconds(1), .seconds(Int64.max)])
  func `a time to look that is negative or too long is refused and named`(spin: Duration) {
    let error = #expect(throws: UVError.self) { try EventLoop(.init(spin: spin)) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("Options.spin") == true)
  }

  @Test(arguments: [Duration.zero, .nanoseconds(1), .milliseconds(10)])
  func `every time to look up to 10 ms is accepted`(spin: Duration) async throws {
    let loop = try EventLoop(.init(spin: spin))
    #expect(await loop.run { _ in 1 } == 1)
    await loop.shutdown()
  }
}
