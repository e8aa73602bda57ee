import Testing

@testable import UVLoop

@Suite(.alone) struct ClockTests {
  @Test func `E-04 the clock is not cached: 5 ms of work show between two readings`() async throws {
    try await onTestLoop { loop, calls in
      let first = loop.clock.now
      spin(for: .milliseconds(5))
      #expect(first.duration(to: loop.clock.now) >= .milliseconds(5))
    }
  }

  @Test func `E-24 a moment is moved by a span that is longer than a moment can be`() {
    typealias Instant = EventLoop.Clock.Instant
    let span = Duration.nanoseconds(Int64.max) + .seconds(100)
    let (early, late) = (Instant(nanoseconds: .min), Instant(nanoseconds: .max))
    #expect(early.advanced(by: span).nanoseconds == 99_999_999_999)
    #expect((late - span).nanoseconds == -100_000_000_000)
    #expect(early.advanced(by: .seconds(Int64.max)) == late)
    #expect(late - .seconds(Int64.max) == early)
    #expect(early - .nanoseconds(1) == early)
    #expect(late + .nanoseconds(1) == late)
  }

  @Test func `E-24 measure gives the time that the work took, never less`() async throws {
    try await onTestLoop { loop, calls in
      #expect(loop.clock.measure { spin(for: .milliseconds(5)) } >= .milliseconds(5))
      let sleep = try await loop.clock.measure { try await loop.sleep(for: .milliseconds(5)) }
      #expect(sleep >= .milliseconds(5))
      #expect(sleep < .seconds(1))
    }
  }

  @Test func `E-24 Task.sleep with the loop's clock is never early, in a task of any thread`() async throws {
    try await withTestLoop { loop, calls in
      let clock = loop.clock
      for _ in 0..<20 {
        let before = clock.now
        try await Task.sleep(for: .microseconds(1_300), clock: clock)
        #expect(before.duration(to: clock.now) >= .microseconds(1_300))
      }
    }
  }

  @Test func `E-24 Task.sleep until a moment of the loop's clock is never early`() async throws {
    try await onTestLoop { loop, calls in
      let moment = loop.clock.now.advanced(by: .microseconds(4_200))
      try await Task.sleep(until: moment, clock: loop.clock)
      #expect(loop.clock.now >= moment)
      #expect(loop.isCurrent)
    }
  }

  @Test(arguments: [Duration.zero, .milliseconds(3), .seconds(60)])
  func `E-24 a tolerance makes no sleep early`(tolerance: Duration) async throws {
    try await onTestLoop { loop, calls in
      let clock = loop.clock
      let before = clock.now
      try await clock.sleep(until: before.advanced(by: .milliseconds(4)), tolerance: tolerance)
      try await loop.sleep(for: .milliseconds(4), tolerance: tolerance)
      try await loop.sleep(until: clock.now.advanced(by: .milliseconds(4)), tolerance: tolerance)
      try await Task.sleep(for: .milliseconds(4), tolerance: tolerance, clock: clock)
      let wait = before.duration(to: clock.now)
      #expect(wait >= .milliseconds(16))
      #expect(wait < .seconds(2))
    }
  }

  /// Knows nothing of loops.
  private static func nap<C: Clock>(_ span: C.Duration, on clock: C) async throws -> C.Duration {
    let start = clock.now
    try await clock.sleep(until: start.advanced(by: span), tolerance: nil)
    return start.duration(to: clock.now)
  }

  @Test func `E-24 the clock serves code that is generic over clocks`() async throws {
    try await withTestLoop { loop, calls in
      let nap = try await Self.nap(.milliseconds(5), on: loop.clock)
      #expect(nap >= .milliseconds(5))
      #expect(loop.clock.minimumResolution == .milliseconds(1))
    }
  }

  @Test func `E-24 a cancelled Task.sleep with the loop's clock throws CancellationError`() async throws {
    try await withTestLoop { loop, calls in
      let clock = loop.clock
      let task = Task.detached { try await Task.sleep(for: .seconds(3_600), clock: clock) }
      await expectEventually { await loop.run { $0.probe.timers } == 1 }
      task.cancel()
      try await expectCancelled { try await task.value }
      await expectEventually { await loop.run { $0.probe.timers } == 0 }
    }
  }

  @Test func `E-24 instants are ordered, and their differences add up`() async throws {
    try await withTestLoop { loop, calls in
      let now = loop.clock.now
      let later = now.advanced(by: .seconds(3))
      #expect(now < later)
      #expect(now.duration(to: later) == .seconds(3))
      #expect(later.duration(to: now) == .seconds(-3))
      #expect(later.advanced(by: .seconds(-3)) == now)
    }
  }

  @Test func `E-24 an instant saturates at both ends`() async throws {
    try await withTestLoop { loop, calls in
      let now = loop.clock.now
      let end = now.advanced(by: .seconds(Int64.max))
      #expect(end.advanced(by: .seconds(1)) == end)
      let begin = now.advanced(by: .seconds(Int64.min)).advanced(by: .seconds(Int64.min))
      #expect(begin.advanced(by: .seconds(-1)) == begin)
      #expect(begin < now && now < end)
      #expect(begin.duration(to: end) > .zero)
    }
  }

  @Test func `E-24 a clock does not keep its loop`() async throws {
    let loop = Shared(try EventLoop(.init(name: "clock")) as EventLoop?)
    let clock = try #require(loop.value).clock
    weak let observed = loop.value
    await loop.value?.shutdown()
    loop.value = nil
    await expectEventually { observed == nil }
    let before = clock.now
    #expect(clock.now >= before)
    try await expectCode(.loopClosed) { try await clock.sleep(until: before) }
  }
}
