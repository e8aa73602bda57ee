import Testing

@testable import UVLoop

/// When a `TimerHandle` fires.
@Suite(.alone) struct TimerHandleTimeTests {
  @Test func `E-02 of 300 one-shots of random delays none is early by a nanosecond`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      for _ in 0..<300 {
        spin(for: .microseconds(.random(in: 0...300)))
        let fired = try Promise<EventLoop.Clock.Instant>()
        let delay = Duration.nanoseconds(.random(in: 1...4_000_000))
        let before = loop.clock.now
        try timer.start(after: delay) { fired.resume(returning: loop.clock.now) }
        #expect(before.duration(to: try await fired.value()) >= delay)
      }
      timer.close()
    }
  }

  @Test func `E-03 a delay counts from the call, though the loop was blocked for 1 s before`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      let fired = try Promise<EventLoop.Clock.Instant>()
      try await loop.sleep(for: .zero)
      spin(for: .seconds(1))
      let before = loop.clock.now
      try timer.start(after: .milliseconds(100)) { fired.resume(returning: loop.clock.now) }
      #expect(before.duration(to: try await fired.value()) >= .milliseconds(100))
      timer.close()
    }
  }

  @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(Int64.min)])
  func `E-05 a delay of zero or less runs once, soon, and not inline`(delay: Duration) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let timer = try TimerHandle()
      let fired = try Promise<EventLoop.Clock.Instant>()
      let before = loop.clock.now
      try timer.start(after: delay) {
        calls.mark("fired")
        fired.resume(returning: loop.clock.now)
      }
      #expect(timer.isActive)
      #expect(calls.count("fired") == 0)
      #expect(before.duration(to: try await fired.value()) < .milliseconds(500))
      try await iterate(loop)
      timer.close()
    }
  }

  @Test(arguments: [Duration.seconds(Int64.max), .seconds(Int64.max) + .seconds(Int64.max)])
  func `E-05 the largest delays are as good as never`(delay: Duration) async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      try timer.start(after: delay, repeating: delay) { calls.mark("fired") }
      try await loop.sleep(for: .milliseconds(20))
      #expect(timer.isActive)
      #expect(try #require(timer.dueIn) > .seconds(1_000_000))
      #expect(calls.count("fired") == 0)
      timer.close()
    }
  }

  @Test func `E-06 a zero delay that re-arms itself lets a 1 ms timer and a post through`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("timer")
      calls.expect("post")
      let (chain, other) = (try TimerHandle(), try TimerHandle())
      let done = try Promise<Int>()
      let limit = loop.clock.now.advanced(by: .seconds(20))
      var rounds = 0
      var link: () -> Void = {}
      link = {
        rounds += 1
        if rounds >= 1_000 && calls.log.count == 2 || loop.clock.now > limit {
          done.resume(returning: rounds)
        } else {
          do { try chain.start(after: .zero, link) } catch { done.resume(throwing: error) }
        }
      }
      try other.start(after: .milliseconds(1)) { calls.mark("timer") }
      try chain.start(after: .zero, link)
      try loop.post { calls.mark("post") }
      #expect(try await done.value() >= 1_000)
      #expect(calls.log.sorted() == ["post", "timer"])
      link = {}
      chain.close()
      other.close()
    }
  }

  @Test func `E-07 101 timers with equal delays fire in the order of their starts`() async throws {
    try await onTestLoop { loop, calls in
      var timers: [TimerHandle] = []
      for _ in 0...100 { timers.append(try TimerHandle()) }
      let done = try Promise<Void>()
      var order: [Int] = []
      for (index, timer) in timers.enumerated() {
        try timer.start(after: .milliseconds(20)) {
          order.append(index)
          if order.count == 101 { done.resume(returning: ()) }
        }
      }
      try await done.value()
      #expect(order == Array(0...100))
      for timer in timers { timer.close() }
    }
  }

  @Test func `E-23 a repeating timer of 50 ms whose callback takes 17 ms fires every 50 ms`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      let done = try Promise<Void>()
      var (times, due): ([Duration], [Duration]) = ([], [])
      let start = loop.clock.now
      try timer.start(after: .milliseconds(50), repeating: .milliseconds(50)) {
        times.append(start.duration(to: loop.clock.now))
        spin(for: .milliseconds(17))
        due.append(timer.dueIn ?? .seconds(60))
        if times.count == 6 { done.resume(returning: ()) }
      }
      try await done.value()
      timer.close()
      for (index, time) in times.enumerated() {
        // Repeats are armed in libuv's milliseconds, from the time of the loop.
        #expect(time > .milliseconds(50 * (index + 1) - 1))
      }
      // The work does not count: what is left of the interval after it is 33 ms.
      #expect(due.allSatisfy { $0 <= .milliseconds(34) })
    }
  }

  @Test func `E-23 a block over three intervals gives one late call, not three`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      let done = try Promise<[Duration]>()
      var times: [Duration] = []
      let start = loop.clock.now
      try timer.start(after: .milliseconds(50), repeating: .milliseconds(50)) {
        times.append(start.duration(to: loop.clock.now))
        if times.count == 1 { spin(for: .milliseconds(160)) }
        if times.count == 3 { done.resume(returning: times) }
      }
      let seen = try await done.value()
      #expect(seen[1] - seen[0] >= .milliseconds(160))
      #expect(seen[2] - seen[1] > .milliseconds(49))
      timer.close()
    }
  }

  @Test(arguments: [false, true])
  func `a timer is not late by what the callbacks before the poll took`(inJob: Bool) async throws {
    let late = try await undisturbed(below: .milliseconds(100)) {
      try await onTestLoop { loop, calls in
        let (slow, timer) = (try TimerHandle(), try TimerHandle())
        let fired = try Promise<EventLoop.Clock.Instant>()
        let due = loop.clock.now + .milliseconds(600)
        try timer.start(after: .milliseconds(600)) { fired.resume(returning: loop.clock.now) }
        try slow.start(after: .milliseconds(20)) {
          if inJob { try? loop.post { spin(for: .milliseconds(500)) } } else { spin(for: .milliseconds(500)) }
        }
        return try await fired.value() - due
      }
    }
    #expect(late < .milliseconds(300))
  }
}
