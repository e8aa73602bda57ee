import Testing

@testable import UVLoop

/// A time that is advanced by hand: the tasks that wait for it, and the end.
@Suite(.sideBySide) struct TestClockTaskTests {
  private actor Elsewhere {
    func sleep(on loop: EventLoop, for span: Duration) async throws -> EventLoop.Clock.Instant {
      try await loop.sleep(for: span)
      return loop.clock.now
    }
  }

  private actor Sleeper: LoopActor {
    nonisolated let loop: EventLoop
    private(set) var count = 0

    init(on loop: EventLoop) { self.loop = loop }

    func rest(for span: Duration) async throws {
      try await loop.sleep(for: span)
      count += 1
    }

    func advance(by span: Duration) async throws -> Int {
      try await loop.advance(by: span)
      return count
    }
  }

  @Test func `E-25 sleepers of other actors, of Swift's pool and of the main actor are woken by an advance`()
    async throws
  {
    try await withTestLoop(time: .manual) { loop, calls in
      let elsewhere = Elsewhere()
      let tasks = [
        Task { try await elsewhere.sleep(on: loop, for: .seconds(60)) },
        Task.detached {
          try await loop.sleep(for: .seconds(60))
          return loop.clock.now
        },
        Task { @MainActor in
          try await loop.sleep(for: .seconds(60))
          MainActor.preconditionIsolated()
          return loop.clock.now
        },
      ]
      await expectEventually { await loop.run { $0.probe.timers } == 3 }
      try await loop.run { loop in
        try await loop.advance(by: .milliseconds(59_999))
        #expect(loop.probe.timers == 3)
        try await loop.advance(by: .milliseconds(1))
        #expect(loop.probe.timers == 0)
      }
      for task in tasks {
        #expect(try await task.value == EventLoop.Clock.Instant(nanoseconds: 60_000_000_000))
      }
    }
  }

  @Test func `E-25 an actor of the loop advances the clock, and its other methods go on meanwhile`() async throws {
    try await withTestLoop(time: .manual) { loop, calls in
      let sleeper = Sleeper(on: loop)
      let tasks = (1...3).map { seconds in loop.task { _ in try await sleeper.rest(for: .seconds(seconds)) } }
      await expectEventually { await loop.run { $0.probe.timers } == 3 }
      #expect(try await sleeper.advance(by: .seconds(2)) == 2)
      #expect(try await sleeper.advance(by: .seconds(1)) == 3)
      for task in tasks { try await task.value }
    }
  }

  @Test func `E-25 ticks come at their moments within an advance, and no others`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let start = loop.clock.now
      let seen = Shared<[Duration]>([])
      let task = loop.task { loop in
        for try await tick in try loop.ticks(every: .seconds(10)) {
          #expect(tick == loop.clock.now)
          seen.update { $0.append(start.duration(to: tick)) }
        }
      }
      try await loop.advance(by: .seconds(35))
      #expect(seen.value == [.seconds(10), .seconds(20), .seconds(30)])
      task.cancel()
      try await task.value
      try await loop.advance(by: .seconds(100))
      #expect(seen.value.count == 3)
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `E-25 a sleep that is cancelled ends without an advance and leaves no entry`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let task = loop.task { loop in try await loop.sleep(for: .nanoseconds(1)) }
      try await loop.runUntilIdle()
      #expect(loop.probe.timers == 1)
      task.cancel()
      try await expectCancelled { try await task.value }
      #expect(loop.probe.timers == 0)
      #expect(loop.clock.now == EventLoop.Clock.Instant(nanoseconds: 0))
    }
  }

  @Test func `E-25 an advance that is cancelled from another thread ends where it is, and the next one goes on`()
    async throws
  {
    try await withTestLoop(time: .manual) { loop, calls in
      calls.expect("2 s")
      let (begun, go) = (Event("the begin of a call"), Event("its release"))
      let advancing = loop.task { loop in
        try loop.schedule(after: .seconds(1)) {
          loop.task { loop in
            try await loop.offload {
              begun.signal()
              go.waitBlocking()
            }
          }
        }
        try loop.schedule(after: .seconds(2)) { calls.mark("2 s") }
        try await loop.advance(by: .seconds(5))
      }
      // The advance stands at one second and waits for the call.
      try await begun.wait()
      try await onPlainThread { advancing.cancel() }
      try await expectCancelled { try await advancing.value }
      #expect(loop.clock.now == EventLoop.Clock.Instant(nanoseconds: 1_000_000_000))
      #expect(calls.log == [])
      go.signal()
      try await loop.run { loop in try await loop.advance(by: .seconds(1)) }
      #expect(calls.log == ["2 s"])
    }
  }

  @Test func `E-25 in a task that is already cancelled no advance begins`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      try loop.schedule(after: .nanoseconds(1)) { calls.mark("fired") }
      let task = loop.task { loop in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        return try await loop.probe.iterations {
          try await expectCancelled { try await loop.advance(by: .seconds(1)) }
          try await expectCancelled { try await loop.advanceToNextDeadline() }
          try await expectCancelled { try await loop.runUntilIdle() }
        }
      }
      #expect(try await task.value == 0)
      #expect(calls.log == [])
    }
  }

  @Test func `F-11 a limit expires by advanced time, to the nanosecond`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let body = loop.task { loop in
        try await loop.withTimeout(.seconds(3_600)) {
          calls.mark("begins")
          try await loop.sleep(for: .seconds(7_200))
        }
      }
      try await loop.advance(by: .seconds(3_600) - .nanoseconds(1))
      #expect(calls.log == ["begins"])
      #expect(loop.probe.timers == 2)
      try await loop.advance(by: .nanoseconds(1))
      #expect(loop.probe.timers == 0)
      try await expectCode(.timedOut) { try await body.value }
    }
  }

  @Test func `F-11 a limit does not expire by real time`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let value = try await loop.withTimeout(.nanoseconds(1)) {
        spin(for: .milliseconds(10))
        try await iterate(loop)
        return Task.isCancelled
      }
      #expect(value == false)
    }
  }

  @Test func `E-28 advancing the clock causes no wake and no message from another thread`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let sleepers = (1...100).map { number in
        loop.task { loop in for _ in 0..<10 { try await loop.sleep(for: .milliseconds(number)) } }
      }
      let ticking = loop.task { loop in
        for try await _ in try loop.ticks(every: .milliseconds(7)) { calls.mark("tick") }
      }
      // The first advance begins the tasks, which came from here.
      try await loop.runUntilIdle()
      let traffic = try await loop.probe.traffic {
        for _ in 0..<50 {
          try await loop.advance(by: .milliseconds(10))
          #expect(loop.isCurrent)
          _ = try await loop.advanceToNextDeadline()
          try await loop.runUntilIdle()
        }
        try await loop.advance(by: .seconds(1))
      }
      #expect(traffic == .none)
      #expect(calls.count("tick") > 200)
      ticking.cancel()
      for task in sleepers { try await task.value }
    }
  }

  @Test func `E-29 shutdown ends the sleepers, limits and ticks of a time that stands still with loopClosed`()
    async throws
  {
    try await withTestLoop(time: .manual) { loop, calls in
      let waits = [
        Task.detached { try await loop.sleep(for: .seconds(1)) },
        Task.detached { try await loop.withTimeout(.seconds(1)) { try await loop.sleep(for: .seconds(2)) } },
        Task.detached { for try await _ in try loop.ticks(every: .seconds(1)) {} },
      ]
      await expectEventually { await loop.run { $0.probe.timers } == 4 }
      try await loop.run { loop in _ = try loop.schedule(after: .seconds(1)) { calls.mark("fired") } }
      let report = await loop.shutdown(within: .seconds(20))
      #expect(report.droppedCalls == 1)
      for wait in waits { try await expectCode(.loopClosed) { try await wait.value } }
      #expect(calls.log == [])
    }
  }

  @Test func `E-29 shutdown ends an advance that waits, with loopClosed`() async throws {
    try await withTestLoop(time: .manual) { loop, calls in
      let (begun, go) = (Event("the begin of a call"), Event("its release"))
      let call = Task.detached {
        try await loop.offload {
          begun.signal()
          go.waitBlocking()
        }
      }
      try await begun.wait()
      // Not a task of the loop's: shutdown would cancel it.
      let advancing = Task.detached { try await loop.run { loop in try await loop.advance(by: .seconds(1)) } }
      await expectEventually { await loop.run { $0.probe.isAdvancing } }
      let ending = Task.detached { await loop.shutdown(within: .seconds(20)) }
      try await expectCode(.loopClosed) { try await advancing.value }
      go.signal()
      try await call.value
      #expect(await ending.value.unfinished.isEmpty)
    }
  }

  @Test func `E-29 the time stands still once shutdown has begun`() async throws {
    try await withTestLoop(time: .autojump) { loop, calls in
      let report = try await loop.run { loop in
        try loop.onShutdown { calls.mark("hook at \(loop.clock.now)") }
        try loop.schedule(after: .seconds(1)) { calls.mark("fired") }
        return await loop.shutdown()
      }
      #expect(report.droppedCalls == 1)
      #expect(calls.log == ["hook at 0.0 seconds"])
    }
  }
}
