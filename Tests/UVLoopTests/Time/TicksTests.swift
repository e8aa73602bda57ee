import Testing

@testable import UVLoop

@Suite struct TicksTests {
  /// What a consumer of 100 ms ticks saw that was busy from tick 2, at 200 ms, until 550 ms. All from the begin.
  private struct Stall {
    /// When the second tick came.
    var second = Duration.zero
    /// When the consumer was ready again.
    var ready = Duration.zero
    /// The nominal moments of the ticks from the third on, and when they came.
    var nominal: [Duration] = []
    var actual: [Duration] = []

    /// Whether the scenario was what it should be: no stall but the consumer's.
    var isAsPlanned: Bool {
      guard second < .milliseconds(290), ready < .milliseconds(590), let first = actual.first else { return false }
      return first < .milliseconds(600)
        && zip(actual, nominal).allSatisfy { $0 < .milliseconds(600) || $0 < $1 + .milliseconds(90) }
    }
  }

  /// Plays the scenario, again where the machine was too busy for it.
  private static func stall(_ missed: MissedTicks, ticks count: Int) async throws -> Stall {
    var last = Stall()
    for _ in 0..<30 {
      last = try await play(missed, ticks: count)
      if last.isAsPlanned { return last }
    }
    Issue.record("the machine was too busy 30 times: \(last)")
    return last
  }

  private static func play(_ missed: MissedTicks, ticks count: Int) async throws -> Stall {
    try await onTestLoop { loop, calls in
      var ticks = try loop.ticks(every: .milliseconds(100), missed: missed).makeAsyncIterator()
      let start = try #require(try await ticks.next(isolation: loop)).advanced(by: .milliseconds(-100))
      _ = try await ticks.next(isolation: loop)
      var stall = Stall()
      stall.second = start.duration(to: loop.clock.now)
      try await loop.sleep(until: start.advanced(by: .milliseconds(550)))
      stall.ready = start.duration(to: loop.clock.now)
      for _ in 0..<count {
        stall.nominal.append(start.duration(to: try #require(try await ticks.next(isolation: loop))))
        stall.actual.append(start.duration(to: loop.clock.now))
      }
      return stall
    }
  }

  @Test func `E-15 burst: after a stall the ticks 3, 4 and 5 come at once, then the one at 600 ms`() async throws {
    let stall = try await Self.stall(.burst, ticks: 4)
    #expect(stall.nominal == [.milliseconds(300), .milliseconds(400), .milliseconds(500), .milliseconds(600)])
    try #require(stall.actual.count == 4)
    #expect(stall.actual[2] < stall.ready + .milliseconds(500))
    #expect(stall.actual[3] >= .milliseconds(600))
  }

  @Test func `E-15 delay: after a stall one tick comes at once, then those at 650 and 750 ms`() async throws {
    let stall = try await Self.stall(.delay, ticks: 3)
    try #require(stall.actual.count == 3)
    #expect(stall.nominal[0] == .milliseconds(300))
    #expect(stall.actual[0] < .milliseconds(600))
    // The schedule begins anew when the consumer asks.
    #expect(stall.nominal[1] >= stall.ready + .milliseconds(100))
    #expect(stall.nominal[1] <= stall.actual[0] + .milliseconds(100))
    #expect(stall.nominal[2] == stall.nominal[1] + .milliseconds(100))
    #expect(zip(stall.actual, stall.nominal).allSatisfy { $0 >= $1 })
  }

  @Test func `E-15 skip: after a stall one tick comes at once, then the one at 600 ms`() async throws {
    let stall = try await Self.stall(.skip, ticks: 3)
    #expect(stall.nominal == [.milliseconds(300), .milliseconds(600), .milliseconds(700)])
    try #require(stall.actual.count == 3)
    #expect(stall.actual[0] < .milliseconds(600))
    #expect(zip(stall.actual, stall.nominal).allSatisfy { $0 >= $1 })
  }

  @Test func `E-16 1 000 ticks of 2 ms with 1 ms of work each keep the nominal schedule`() async throws {
    let late = try await undisturbed(below: .milliseconds(50)) {
      try await onTestLoop { loop, calls in
        var ticks = try loop.ticks(every: .milliseconds(2), missed: .burst).makeAsyncIterator()
        var (late, early): ([Duration], Int) = ([], 0)
        var start: EventLoop.Clock.Instant?
        for number in 1...1_000 {
          let asked = loop.clock.now
          let tick = try #require(try await ticks.next(isolation: loop))
          let begin = start ?? tick.advanced(by: .milliseconds(-2))
          start = begin
          #expect(begin.duration(to: tick) == .milliseconds(2 * number))
          if loop.clock.now < tick { early += 1 }
          // A consumer that a loaded machine keeps from asking in time gets its tick when it asks.
          late.append(max(tick, asked).duration(to: loop.clock.now))
          spin(for: .milliseconds(1))
        }
        #expect(early == 0)
        return late
      }
    }
    #expect(late.max() ?? .zero <= .milliseconds(100))
    // A drift of a hundredth of a millisecond a tick would show.
    #expect(late.suffix(100).min() ?? .zero <= .milliseconds(10))
  }

  @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(-1)])
  func `E-17 a period of zero or less is refused with a sentence`(period: Duration) async throws {
    try await withTestLoop { loop, calls in
      let error = #expect(throws: UVError.self) { try loop.ticks(every: period) }
      #expect(error?.code == .invalidArgument)
      #expect(error?.call == "EventLoop.ticks")
      #expect(error?.message.contains("must be greater than zero") == true)
    }
  }

  @Test func `E-17 a period of a nanosecond is one`() async throws {
    try await onTestLoop { loop, calls in
      var ticks = try loop.ticks(every: .nanoseconds(1), missed: .burst).makeAsyncIterator()
      let first = try await ticks.next(isolation: loop)
      let second = try await ticks.next(isolation: loop)
      #expect(try #require(first).duration(to: try #require(second)) == .nanoseconds(1))
    }
  }

  @Test func `E-18 cancelling the iterating task from another thread ends it, and no tick comes later`() async throws {
    try await withTestLoop { loop, calls in
      let ticked = Event("a tick")
      let task = loop.task { loop in
        for try await _ in try loop.ticks(every: .milliseconds(1)) {
          calls.mark("tick")
          ticked.signal()
        }
        calls.mark("end")
      }
      try await ticked.wait(times: 3)
      try await onPlainThread { task.cancel() }
      try await task.value
      #expect(calls.log.last == "end")
      #expect(await loop.timers == 0)
      let count = calls.count("tick")
      try await loop.sleep(for: .milliseconds(10))
      #expect(calls.count("tick") == count)
    }
  }

  @Test func `E-18 a sequence of ticks keeps its loop from nothing`() async throws {
    let loop = Shared(try EventLoop(.init(name: "ticks")) as EventLoop?)
    let thread = try #require(loop.value).thread
    let ticks = try #require(loop.value).ticks(every: .milliseconds(1))
    let ticked = Event("a tick")
    let task = Task.detached { for try await _ in ticks { ticked.signal() } }
    try await ticked.wait(times: 2)
    task.cancel()
    try await task.value
    weak let observed = loop.value
    let report = await loop.value?.shutdown()
    #expect(report?.unfinished == [])
    loop.value = nil
    await expectEventually { observed == nil }
    await expectThreadGone(thread)
    // The sequence is still there, and says that the loop is not.
    let error = await #expect(throws: UVError.self) { for try await _ in ticks {} }
    #expect(error?.code == .loopClosed)
  }

  @Test func `F-09 in a task that is already cancelled ticks end at once and leave no timer`() async throws {
    try await onTestLoop { loop, calls in
      let task = loop.task { loop in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        let turns = loop.turns
        for try await _ in try loop.ticks(every: .milliseconds(1)) { calls.mark("tick") }
        return (loop.turns - turns, loop.timers)
      }
      let (turns, timers) = try await task.value
      #expect(turns == 0)
      #expect(timers == 0)
      #expect(calls.count("tick") == 0)
    }
  }

  @Test func `E-15 two iterations of one sequence each have their own rhythm`() async throws {
    try await onTestLoop { loop, calls in
      let ticks = try loop.ticks(every: .milliseconds(5))
      var first = ticks.makeAsyncIterator()
      try await loop.sleep(for: .milliseconds(2))
      var second = ticks.makeAsyncIterator()
      let one = try #require(try await first.next(isolation: loop))
      let other = try #require(try await second.next(isolation: loop))
      #expect(one.duration(to: other) >= .milliseconds(2))
    }
  }
}
