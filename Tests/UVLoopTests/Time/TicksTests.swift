import Testing

@testable import UVLoop

@Suite(.alone) struct TicksTests {
  /// What a consumer of 100 ms ticks sees that is busy from tick 2, at 200 ms, until 550 ms: the nominal moments of the
  /// ticks from the third on, and when they came. All from the begin.
  private static func stall(
    _ missed: MissedTicks, ticks count: Int
  ) async throws -> (nominal: [Duration], actual: [Duration]) {
    try await onTestLoop(time: .autojump) { loop, calls in
      let start = loop.clock.now
      var ticks = try loop.ticks(every: .milliseconds(100), missed: missed).makeAsyncIterator()
      for number in 1...2 {
        #expect(try await ticks.next(isolation: loop) == start.advanced(by: .milliseconds(100 * number)))
      }
      try await loop.sleep(until: start.advanced(by: .milliseconds(550)))
      var (nominal, actual): ([Duration], [Duration]) = ([], [])
      for _ in 0..<count {
        nominal.append(start.duration(to: try #require(try await ticks.next(isolation: loop))))
        actual.append(start.duration(to: loop.clock.now))
      }
      return (nominal, actual)
    }
  }

  @Test func `E-15 burst: after a stall the ticks 3, 4 and 5 come at once, then the one at 600 ms`() async throws {
    let stall = try await Self.stall(.burst, ticks: 5)
    #expect(stall.nominal == [300, 400, 500, 600, 700].map { .milliseconds($0) })
    #expect(stall.actual == [550, 550, 550, 600, 700].map { .milliseconds($0) })
  }

  @Test func `E-15 delay: after a stall one tick comes at once, then those at 650 and 750 ms`() async throws {
    let stall = try await Self.stall(.delay, ticks: 3)
    #expect(stall.nominal == [300, 650, 750].map { .milliseconds($0) })
    #expect(stall.actual == [550, 650, 750].map { .milliseconds($0) })
  }

  @Test func `E-15 skip: after a stall one tick comes at once, then the one at 600 ms`() async throws {
    let stall = try await Self.stall(.skip, ticks: 3)
    #expect(stall.nominal == [300, 600, 700].map { .milliseconds($0) })
    #expect(stall.actual == [550, 600, 700].map { .milliseconds($0) })
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
      #expect(await loop.run { $0.probe.timers } == 0)
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
        let iterations = try await loop.probe.iterations {
          for try await _ in try loop.ticks(every: .milliseconds(1)) { calls.mark("tick") }
        }
        return (iterations, loop.probe.timers)
      }
      let (iterations, timers) = try await task.value
      #expect(iterations == 0)
      #expect(timers == 0)
      #expect(calls.count("tick") == 0)
    }
  }

  @Test func `E-15 two iterations of one sequence each have their own rhythm`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      let ticks = try loop.ticks(every: .milliseconds(5))
      var first = ticks.makeAsyncIterator()
      try await loop.sleep(for: .milliseconds(2))
      var second = ticks.makeAsyncIterator()
      let one = try #require(try await first.next(isolation: loop))
      let other = try #require(try await second.next(isolation: loop))
      #expect(one.duration(to: other) == .milliseconds(2))
    }
  }
}
