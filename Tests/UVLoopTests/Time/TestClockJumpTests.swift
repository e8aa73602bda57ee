import Testing

@testable import UVLoop

/// A time that jumps when nothing else is left to wait for. What keeps it from jumping is tested by a sleeper: as long
/// as that has not been woken, the time has not jumped.
@Suite(.alone) struct TestClockJumpTests {
  @Test func `E-26 100 sleeps of an hour take less than a second`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      let start = loop.clock.now
      let real = ContinuousClock.now
      for _ in 0..<100 { try await loop.sleep(for: .seconds(3_600)) }
      #expect(start.duration(to: loop.clock.now) == .seconds(360_000))
      #expect(real.duration(to: .now) < .seconds(1))
    }
  }

  /// The order in which 100 tasks that sleep at random, three times each, come to themselves.
  private static func order(_ time: EventLoop.Time, _ delays: [[Duration]]) async throws -> [String] {
    try await onTestLoop(time: time) { loop, calls in
      let tasks = delays.indices.map { index in
        loop.task { loop in
          for delay in delays[index] {
            try await loop.sleep(for: delay)
            calls.mark("\(index) at \(loop.clock.now)")
          }
        }
      }
      if time == .manual { try await loop.advance(by: .seconds(60)) }
      for task in tasks { try await task.value }
      return calls.log
    }
  }

  @Test func `E-26 two runs of 100 random sleepers give the same order, and so does a time advanced by hand`()
    async throws
  {
    // Coarse, so that many are due at the same time.
    let delays = (0..<100).map { _ in (0..<3).map { _ in Duration.milliseconds(Int.random(in: 0...50) * 100) } }
    let first = try await Self.order(.autojump, delays)
    #expect(first.count == 300)
    #expect(try await Self.order(.autojump, delays) == first)
    #expect(try await Self.order(.manual, delays) == first)
  }

  @Test func `E-26 limits and ticks jump too`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      try await expectCode(.timedOut) {
        try await loop.withTimeout(.seconds(3_600)) {
          for try await _ in try loop.ticks(every: .seconds(60)) { calls.mark("tick") }
          try Task.checkCancellation()
        }
      }
      // The tick and the limit of the full hour are due together, and the limit was there first.
      #expect(calls.count("tick") == 59)
      #expect(loop.clock.now == EventLoop.Clock.Instant(nanoseconds: 3_600_000_000_000))
    }
  }

  /// Lets a sleeper wait beside `body`, which must find it asleep at each look; afterwards it is woken by a jump.
  private static func expectNoJump(
    _ location: SourceLocation = #_sourceLocation,
    while body: @Sendable (isolated EventLoop, _ look: @Sendable @escaping () -> Void) async throws -> Void
  ) async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      let clock = loop.clock
      let look: @Sendable () -> Void = {
        #expect(clock.now == EventLoop.Clock.Instant(nanoseconds: 0), sourceLocation: location)
      }
      try loop.schedule(after: .seconds(3_600)) { calls.mark("jumped") }
      try await body(loop, look)
      look()
      #expect(calls.log == [], sourceLocation: location)
      try await loop.sleep(for: .seconds(3_600))
      #expect(calls.log == ["jumped"], sourceLocation: location)
    }
  }

  @Test func `E-26 it does not jump while an offloaded call runs or waits`() async throws {
    try await Self.expectNoJump { loop, look in
      try await loop.offload {
        spin(for: .milliseconds(20))
        look()
      }
      // More than the pool has workers.
      let tasks = (0..<12).map { _ in
        loop.task { loop in
          try await loop.offload {
            spin(for: .milliseconds(1))
            look()
          }
        }
      }
      for task in tasks { try await task.value }
    }
  }

  @Test func `E-26 it does not jump while the queue holds work`() async throws {
    try await Self.expectNoJump { loop, look in
      for _ in 0..<100 {
        try await loop.sleep(for: .zero)
        let posted = try Promise<Void>()
        try loop.schedule(after: .zero) {
          look()
          posted.resume(returning: ())
        }
        try await posted.value()
      }
    }
  }

  @Test func `E-26 it does not jump while a PollHandle is active`() async throws {
    try await Self.expectNoJump { loop, look in
      let sockets = SocketPair()
      let poll = try PollHandle(descriptor: sockets.watched)
      let readable = try Promise<Void>()
      try poll.start(for: .readable) { _ in
        look()
        poll.close()
        readable.resume(returning: ())
      }
      PlainThread {
        _ = eventually(asleep: loop)
        sockets.feed()
      }
      try await readable.value()
    }
  }

  @Test func `E-26 it does not jump while a TimerHandle runs, which counts real time`() async throws {
    try await Self.expectNoJump { loop, look in
      let timer = try TimerHandle()
      let fired = try Promise<Void>()
      let start = MonotonicClock.now()
      try timer.start(after: .milliseconds(20)) {
        look()
        fired.resume(returning: ())
      }
      try await fired.value()
      #expect(MonotonicClock.now() - start >= 20_000_000)
    }
  }

  @Test func `E-26 it does not jump while an AsyncHandle is open`() async throws {
    try await Self.expectNoJump { loop, look in
      let sent = try Promise<Void>()
      let handle = try AsyncHandle {
        look()
        sent.resume(returning: ())
      }
      let sender = handle.sender
      PlainThread {
        _ = eventually(asleep: loop)
        sender.send()
      }
      try await sent.value()
      handle.close()
    }
  }

  @Test(arguments: [false, true])
  func `E-26 it does not jump while a timer of C code is active`(isUnreferenced: Bool) async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      let neighbour = NeighbourTests.Neighbour()
      #expect(unsafe loop.withUnsafeLoop { unsafe neighbour.attach(to: $0) } == 0)
      if isUnreferenced { neighbour.unreference() }
      try loop.schedule(after: .seconds(1)) { calls.mark("jumped") }
      let slept = Event("the sleep of the loop")
      PlainThread {
        if eventually(asleep: loop) { slept.signal() }
      }
      try await slept.wait()
      #expect(calls.log == [])
      neighbour.close()
      try await loop.sleep(for: .seconds(2))
      #expect(calls.log == ["jumped"])
    }
  }

  @Test func `E-26 a post from another thread meets a loop that sleeps, since nothing waits for time`() async throws {
    try await withTestLoop(time: .autojump) { loop, calls in
      try await loop.run { loop in try await loop.sleep(for: .seconds(3_600)) }
      await expectEventually { loop.probe.isAsleep }
      let posted = Event("a post")
      try loop.post { posted.signal() }
      try await posted.wait()
      #expect(loop.clock.now == EventLoop.Clock.Instant(nanoseconds: 3_600_000_000_000))
    }
  }

  @Test func `E-26 it may be advanced by hand too, and jumps on afterwards`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      calls.expect("1 s")
      try loop.schedule(after: .seconds(1)) { calls.mark("1 s") }
      let start = loop.clock.now
      try await loop.advance(by: .milliseconds(1_500))
      #expect(calls.log == ["1 s"])
      #expect(start.duration(to: loop.clock.now) == .milliseconds(1_500))
      try await loop.sleep(for: .seconds(1))
      #expect(start.duration(to: loop.clock.now) == .milliseconds(2_500))
    }
  }

  @Test func `E-28 jumping causes no wake and no message from another thread`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      try await loop.sleep(for: .seconds(1))
      let traffic = try await loop.probe.traffic {
        for _ in 0..<100 { try await loop.sleep(for: .seconds(1)) }
      }
      #expect(traffic == .none)
    }
  }
}

/// Waits on a plain thread until the loop is asleep in its poll: so late that whatever it does before that is done.
private func eventually(asleep loop: EventLoop) -> Bool {
  let deadline = MonotonicClock.now(plus: .seconds(20))
  while !loop.probe.isAsleep { if MonotonicClock.now() > deadline { return false } }
  return true
}
