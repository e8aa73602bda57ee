import Testing

@testable import UVLoop

@Suite(.alone) struct SleepTests {
  /// Sleeps of random length with busy work in between; gives the earliest that one ended, relative to its end.
  private static func earliest(
    of count: Int, on loop: EventLoop, isolation: isolated (any Actor)? = #isolation
  ) async throws -> Duration {
    var earliest = Duration.seconds(1)
    for _ in 0..<count {
      spin(for: .microseconds(.random(in: 0...300)))
      let delay = Duration.nanoseconds(.random(in: 100_000...5_000_000))
      let before = MonotonicClock.now()
      try await loop.sleep(for: delay)
      earliest = min(earliest, .nanoseconds(MonotonicClock.now() - before) - delay)
    }
    return earliest
  }

  @Test func `E-02 of 1 000 sleeps of 0.1 to 5 ms on the loop none is early by a nanosecond`() async throws {
    try await onTestLoop { loop, calls in
      let tasks = (0..<10).map { _ in loop.task { loop in try await Self.earliest(of: 100, on: loop) } }
      for task in tasks {
        let earliest = try await task.value
        #expect(earliest >= .zero)
      }
    }
  }

  @Test func `E-02 of 1 000 sleeps of 0.1 to 5 ms in tasks off the loop none is early by a nanosecond`() async throws {
    try await withTestLoop { loop, calls in
      let tasks = (0..<10).map { _ in Task.detached { try await Self.earliest(of: 100, on: loop) } }
      for task in tasks {
        let earliest = try await task.value
        #expect(earliest >= .zero)
      }
    }
  }

  @Test func `E-03 a sleep counts from the call, however long the loop was blocked before`() async throws {
    try await onTestLoop { loop, calls in
      for _ in 0..<20 {
        try await loop.sleep(for: .zero)
        spin(for: .milliseconds(10))
        let before = loop.clock.now
        try await loop.sleep(for: .milliseconds(10))
        #expect(before.duration(to: loop.clock.now) >= .milliseconds(10))
      }
    }
  }

  @Test func `E-03 a scheduled call counts from the call, however long the loop was blocked before`() async throws {
    try await onTestLoop { loop, calls in
      let fired = try Promise<EventLoop.Clock.Instant>()
      spin(for: .milliseconds(100))
      let before = loop.clock.now
      try loop.schedule(after: .milliseconds(10)) { fired.resume(returning: loop.clock.now) }
      #expect(before.duration(to: try await fired.value()) >= .milliseconds(10))
    }
  }

  @Test(arguments: [Duration.zero, .seconds(-1), .seconds(Int64.min)])
  func `E-05 a sleep of zero or less waits for an iteration of the loop and no longer`(delay: Duration) async throws {
    try await onTestLoop { loop, calls in
      let start = loop.clock.now
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: delay) }
      #expect(iterations > 0)
      #expect(start.duration(to: loop.clock.now) < .milliseconds(500))
    }
  }

  @Test func `E-05 a sleep until a moment in the past waits for an iteration of the loop and no longer`() async throws {
    try await onTestLoop { loop, calls in
      let start = loop.clock.now
      let iterations = try await loop.probe.iterations { try await loop.sleep(until: start.advanced(by: .seconds(-5))) }
      #expect(iterations > 0)
      #expect(start.duration(to: loop.clock.now) < .milliseconds(500))
    }
  }

  @Test func `E-12 1 000 sleeping tasks are resumed in the order of their deadlines`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let start = loop.clock.now
      // Few enough moments that many are shared.
      let deadlines = (0..<1_000).map { _ in start + .nanoseconds(Int.random(in: 1...500)) }
      let order = Shared<[Int]>([])
      let tasks = deadlines.indices.map { index in
        loop.task { loop in
          try await loop.sleep(until: deadlines[index])
          #expect(loop.clock.now == deadlines[index])
          order.update { $0.append(index) }
        }
      }
      try await loop.advance(by: .nanoseconds(500))
      for task in tasks { try await task.value }
      #expect(order.value == deadlines.indices.sorted { (deadlines[$0], $0) < (deadlines[$1], $1) })
    }
  }

  @MainActor @Test func `E-13 a sleep called on MainActor resumes there, not early`() async throws {
    try await withTestLoop { loop, calls in
      let before = loop.clock.now
      try await loop.sleep(for: .milliseconds(10))
      #expect(before.duration(to: loop.clock.now) >= .milliseconds(10))
      // A trap where it were not so; the thread of MainActor may change.
      MainActor.preconditionIsolated()
      let moment = loop.clock.now.advanced(by: .milliseconds(10))
      try await loop.sleep(until: moment)
      #expect(loop.clock.now >= moment)
      MainActor.preconditionIsolated()
    }
  }

  @Test func `E-13 a sleep called on another loop resumes there, not early`() async throws {
    try await withTestLoop("sleeper") { sleeper, _ in
      try await onTestLoop("caller") { caller, _ in
        let before = caller.clock.now
        try await sleeper.sleep(for: .milliseconds(10))
        #expect(before.duration(to: caller.clock.now) >= .milliseconds(10))
        #expect(caller.isCurrent)
        let moment = sleeper.clock.now.advanced(by: .milliseconds(10))
        try await sleeper.sleep(until: moment)
        #expect(caller.clock.now >= moment)
        #expect(caller.isCurrent)
      }
    }
  }

  @Test func `E-14 a cancelled sleep throws CancellationError promptly and leaves no entry in the heap`() async throws {
    try await onTestLoop { loop, calls in
      let task = loop.task { loop in try await loop.sleep(for: .seconds(3_600)) }
      while loop.probe.timers == 0 { try await loop.sleep(for: .zero) }
      let before = loop.clock.now
      task.cancel()
      try await expectCancelled { try await task.value }
      #expect(before.duration(to: loop.clock.now) < .milliseconds(500))
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `E-14 a sleep that is cancelled off the loop leaves no entry in the heap`() async throws {
    try await withTestLoop { loop, calls in
      let task = Task.detached { try await loop.sleep(for: .seconds(3_600)) }
      await expectEventually { await loop.run { $0.probe.timers } == 1 }
      task.cancel()
      try await expectCancelled { try await task.value }
      await expectEventually { await loop.run { $0.probe.timers } == 0 }
    }
  }

  @Test func `F-07 a cancel from a foreign thread resumes a sleeper though the loop is asleep in its poll`()
    async throws
  {
    try await withTestLoop { loop, calls in
      let clock = loop.clock
      let task = loop.task { loop in
        let isCancelled = try await endsCancelled { try await loop.sleep(for: .seconds(3_600)) }
        return (isCancelled, clock.now)
      }
      await expectEventually { await loop.run { $0.probe.timers } == 1 }
      await expectEventually { loop.probe.isAsleep }
      let cancelled = try await onPlainThread {
        let now = clock.now
        task.cancel()
        return now
      }
      let (isCancelled, resumed) = try await task.value
      #expect(isCancelled)
      #expect(cancelled.duration(to: resumed) < .milliseconds(500))
    }
  }

  @Test func `F-08 of 20 000 sleeps in which expiry and cancellation race each is resumed once`() async throws {
    try await withTestLoop { loop, calls in
      let (expired, cancelled) = (Counter(), Counter())
      for round in 0..<20 {
        let sleep: @Sendable () async throws -> Void = {
          do {
            try await loop.sleep(for: .microseconds(.random(in: 0...3_000)))
            expired.add()
          } catch is CancellationError {
            cancelled.add()
          }
        }
        let tasks = (0..<1_000).map { index in
          index % 2 == 0 ? loop.task { _ in try await sleep() } : Task.detached { try await sleep() }
        }
        try await onPlainThread {
          spin(for: .microseconds(100 * round))
          for task in tasks.shuffled() { task.cancel() }
        }
        for task in tasks { try await task.value }
      }
      #expect(expired.value + cancelled.value == 20_000)
      #expect(expired.value > 0 && cancelled.value > 0)
      await expectEventually { await loop.run { $0.probe.timers } == 0 }
    }
  }

  @Test func `F-09 in a task that is already cancelled a sleep ends at once and leaves no timer`() async throws {
    try await onTestLoop { loop, calls in
      let task = loop.task { loop in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        let iterations = loop.probe.iterations
        let first = try await endsCancelled { try await loop.sleep(for: .seconds(3_600)) }
        let second = try await endsCancelled { try await loop.sleep(for: .zero) }
        return (first && second, loop.probe.iterations - iterations, loop.probe.timers)
      }
      let (isCancelled, iterations, timers) = try await task.value
      #expect(isCancelled)
      #expect(iterations == 0)
      #expect(timers == 0)
    }
  }

  @Test(arguments: [false, true])
  func `E-01 a sleep is not late by what the callbacks before the poll took`(inJob: Bool) async throws {
    let late = try await undisturbed(below: .milliseconds(100)) {
      try await onTestLoop { loop, calls in
        let slow = try TimerHandle()
        try slow.start(after: .milliseconds(20)) {
          if inJob { try? loop.post { spin(for: .milliseconds(500)) } } else { spin(for: .milliseconds(500)) }
        }
        let due = loop.clock.now + .milliseconds(600)
        try await loop.sleep(until: due)
        return loop.clock.now - due
      }
    }
    #expect(late < .milliseconds(300))
  }
}
