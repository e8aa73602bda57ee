import Testing

@testable import UVLoop

/// A running `TimerHandle` that is started anew.
@Suite(.alone) struct TimerHandleRestartTests {
  @Test func `a timer that is started again and again calls once, for its last start, and not early`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("last")
      let timer = try TimerHandle()
      let fired = try Promise<EventLoop.Clock.Instant>()
      var due = loop.clock.now
      for delay in 1...50 {
        due = loop.clock.now + .milliseconds(delay)
        try timer.start(after: .milliseconds(delay)) {
          calls.mark(delay == 50 ? "last" : "replaced")
          fired.resume(returning: loop.clock.now)
        }
      }
      #expect(try #require(timer.dueIn) > .milliseconds(40))
      #expect(try await fired.value() >= due)
      try await loop.sleep(for: .milliseconds(10))
      #expect(!timer.isActive && timer.dueIn == nil)
      timer.close()
    }
  }

  @Test func `a timer that was put off calls at once when it is brought forward again`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("soon")
      let timer = try TimerHandle()
      let fired = try Promise<Void>()
      try timer.start(after: .seconds(60)) { calls.mark("first") }
      try timer.start(after: .seconds(120)) { calls.mark("second") }
      try timer.start(after: .milliseconds(1)) {
        calls.mark("soon")
        fired.resume(returning: ())
      }
      try await fired.value()
      timer.close()
    }
  }

  @Test(arguments: [
    (from: Duration.zero, to: Duration.milliseconds(1)), (.milliseconds(1), .zero), (.seconds(60), .milliseconds(1)),
  ])
  func `a start gives a running timer another interval`(from: Duration, to: Duration) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired", to == .zero ? 1 : 3)
      let timer = try TimerHandle()
      let done = try Promise<Void>()
      try timer.start(after: .milliseconds(1), repeating: from) { calls.mark("replaced") }
      try timer.start(after: .milliseconds(5), repeating: to) {
        calls.mark("fired")
        if calls.count("fired") == 3 || to == .zero {
          timer.stop()
          done.resume(returning: ())
        }
      }
      #expect(timer.repeatInterval == to)
      try await done.value()
      try await loop.sleep(for: .milliseconds(5))
      timer.close()
    }
  }

  @Test func `again in the own callback of a repeating timer counts its interval from there`()
    async throws
  {
    try await onTestLoop { loop, calls in
      calls.expect("fired", 2)
      let timer = try TimerHandle()
      let done = try Promise<[Duration]>()
      let start = loop.clock.now
      var times: [Duration] = []
      try timer.start(after: .milliseconds(2), repeating: .milliseconds(20)) {
        calls.mark("fired")
        times.append(start.duration(to: loop.clock.now))
        if times.count == 2 {
          timer.stop()
          done.resume(returning: times)
          return
        }
        do {
          spin(for: .milliseconds(5))
          // From here 20 ms, where libuv has armed it for 15.
          try timer.again()
        } catch { done.resume(throwing: error) }
      }
      let seen = try await done.value()
      #expect(seen[1] - seen[0] >= .milliseconds(25))
      timer.close()
    }
  }

  @Test func `a stop after a start for later stops the timer`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      try timer.start(after: .milliseconds(1)) { calls.mark("first") }
      try timer.start(after: .milliseconds(2)) { calls.mark("second") }
      timer.stop()
      #expect(timer.dueIn == nil)
      try await loop.sleep(for: .milliseconds(10))
      #expect(calls.log.isEmpty)
      timer.close()
    }
  }

  @Test func `the old moment of a timer that was put off is no callback, though nobody holds it`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let fired = try Promise<Void>()
      let before = loop.probe.callbacks
      do {
        let timer = try TimerHandle()
        for delay in 1...10 {
          try timer.start(after: .milliseconds(delay)) {
            calls.mark("fired")
            fired.resume(returning: ())
          }
        }
      }
      try await fired.value()
      #expect(loop.probe.callbacks - before == 1)
    }
  }

  @Test func `a shutdown closes timers that were put off`() async throws {
    try await withTestLoop { loop, calls in
      try await loop.run { loop in
        for _ in 0..<50 {
          let timer = try TimerHandle()
          try timer.start(after: .milliseconds(1)) { calls.mark("first") }
          try timer.start(after: .seconds(60)) { calls.mark("second") }
        }
      }
      await loop.shutdown()
      #expect(calls.log.isEmpty)
    }
  }
}
