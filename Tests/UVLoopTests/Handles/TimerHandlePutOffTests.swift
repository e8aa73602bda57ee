import CLibUV
import Testing

@testable import UVLoop

/// A running `TimerHandle` that is started anew, for a later moment.
@Suite(.alone) struct TimerHandlePutOffTests {
  @Test func `E-30 a timer that is put off calls once, with what it was given last, and not early`() async throws {
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

  @Test func `E-30 libuv's timer stays where it is, and moves once, when its moment comes`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let timer = try TimerHandle()
      let fired = try Promise<Void>()
      try timer.start(after: .seconds(30)) {}
      try timer.start(after: .seconds(60)) {}
      #expect(latestTimer(of: loop) < 31_000)
      #expect(try #require(timer.dueIn) > .seconds(50))
      try timer.start(after: .seconds(10)) {}
      #expect(latestTimer(of: loop) < 11_000)
      #expect(try #require(timer.dueIn) <= .seconds(10))
      try timer.start(after: .milliseconds(5)) {}
      try timer.start(after: .milliseconds(60)) {
        calls.mark("fired")
        fired.resume(returning: ())
      }
      try await loop.sleep(for: .milliseconds(20))
      #expect(latestTimer(of: loop) <= 60)
      try await fired.value()
      timer.close()
    }
  }

  @Test func `E-30 a timer that was put off calls at once when it is brought forward again`() async throws {
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
  func `E-30 what is put off gets another interval`(from: Duration, to: Duration) async throws {
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

  @Test func `E-30 a repeating timer can be put off for ever, by again and by start, also in its own callback`()
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

  @Test func `E-30 a timer that was put off and is late calls after those that were due before it`() async throws {
    try await onTestLoop { loop, calls in
      let (putOff, other) = (try TimerHandle(), try TimerHandle())
      let done = try Promise<Void>()
      try putOff.start(after: .milliseconds(1)) {}
      try other.start(after: .milliseconds(5)) { calls.mark("other") }
      try putOff.start(after: .milliseconds(10)) {
        calls.mark("put off")
        done.resume(returning: ())
      }
      spin(for: .milliseconds(30))
      try await done.value()
      #expect(calls.log == ["other", "put off"])
      putOff.close()
      other.close()
    }
  }

  @Test func `E-30 a stop after a start for later stops the timer`() async throws {
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

  @Test func `E-30 the old moment of a timer that was put off is no callback, though nobody holds it`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let fired = try Promise<Void>()
      let before = loop.core.counters.callbacks.value
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
      #expect(loop.core.counters.callbacks.value - before == 1)
    }
  }

  @Test func `E-30 a shutdown closes timers that were put off`() async throws {
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

  /// How many milliseconds from now, as libuv has it, the last one of the loop's timers is due.
  private func latestTimer(of loop: EventLoop, isolation: isolated any LoopActor = #isolation) -> UInt64 {
    var latest: UInt64 = 0
    unsafe loop.withUnsafeLoop { pointer in
      unsafe withUnsafeMutablePointer(to: &latest) { latest in
        unsafe uv_walk(
          pointer.assumingMemoryBound(to: uv_loop_t.self),
          { handle, latest in
            guard let handle = unsafe handle, unsafe handle.pointee.type == UV_TIMER else { return }
            let due = unsafe uv_timer_get_due_in(UnsafeRawPointer(handle).assumingMemoryBound(to: uv_timer_t.self))
            guard let latest = unsafe latest?.assumingMemoryBound(to: UInt64.self) else { return }
            unsafe latest.pointee = unsafe max(latest.pointee, due)
          }, latest)
      }
    }
    return latest
  }
}
