import Testing

@testable import UVLoop

@Suite(.alone) struct TimerHandleTests {
  @Test func `E-19 a one-shot timer fires once, and is inactive then`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let timer = try TimerHandle()
      let wasActive = try Promise<Bool>()
      try timer.start(after: .milliseconds(1)) {
        calls.mark("fired")
        wasActive.resume(returning: timer.isActive)
      }
      #expect(timer.isActive)
      #expect(try await wasActive.value() == false)
      #expect(!timer.isActive && !timer.isClosed)
      try await loop.sleep(for: .milliseconds(10))
      timer.close()
    }
  }

  @Test func `E-19 a one-shot timer may be started again in its callback`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("first")
      calls.expect("second")
      let timer = try TimerHandle()
      let done = try Promise<Void>()
      try timer.start(after: .milliseconds(1)) {
        calls.mark("first")
        do {
          try timer.start(after: .milliseconds(1)) {
            calls.mark("second")
            done.resume(returning: ())
          }
        } catch { done.resume(throwing: error) }
      }
      try await done.value()
      try await loop.sleep(for: .milliseconds(5))
      timer.close()
    }
  }

  @Test func `E-19 a repeating timer fires until it is stopped`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired", 5)
      let timer = try TimerHandle()
      let done = try Promise<Void>()
      try timer.start(after: .zero, repeating: .milliseconds(1)) {
        calls.mark("fired")
        if calls.count("fired") == 5 {
          timer.stop()
          done.resume(returning: ())
        }
      }
      #expect(timer.repeatInterval == .milliseconds(1))
      try await done.value()
      #expect(!timer.isActive)
      try await loop.sleep(for: .milliseconds(10))
      timer.close()
    }
  }

  @Test func `E-20 start on a running timer replaces its time and its callback`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("second")
      let timer = try TimerHandle()
      let done = try Promise<EventLoop.Clock.Instant>()
      let gone = Counter()
      let witness = Witness(gone)
      try timer.start(after: .milliseconds(1)) {
        witness.hold()
        calls.mark("first")
      }
      let start = loop.clock.now
      try timer.start(after: .milliseconds(30)) {
        calls.mark("second")
        done.resume(returning: loop.clock.now)
      }
      let wait = start.duration(to: try await done.value())
      #expect(wait >= .milliseconds(30))
      #expect(calls.log == ["second"])
      timer.close()
      withExtendedLifetime(witness) {}
    }
  }

  @Test func `E-20 start on a running timer releases the callback that it replaces`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      let gone = Counter()
      do {
        let witness = Witness(gone)
        try timer.start(after: .seconds(60)) { witness.hold() }
      }
      #expect(gone.value == 0)
      try timer.start(after: .seconds(60)) {}
      #expect(gone.value == 1)
      timer.close()
    }
  }

  @Test func `E-20 a second stop does nothing`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      timer.stop()
      try timer.start(after: .milliseconds(1)) { calls.mark("fired") }
      timer.stop()
      timer.stop()
      #expect(!timer.isActive && !timer.isClosed)
      try await loop.sleep(for: .milliseconds(5))
      #expect(calls.count("fired") == 0)
      timer.close()
    }
  }

  @Test func `E-21 again on a timer that was never started throws EINVAL`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      let error = #expect(throws: UVError.self) { try timer.again() }
      #expect(error?.code == .invalidArgument)
      #expect(error?.call == "TimerHandle.again")
      timer.close()
    }
  }

  @Test func `E-21 again on a timer that was stopped throws EINVAL, since its callback is gone`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      try timer.start(after: .milliseconds(1), repeating: .milliseconds(1)) { calls.mark("fired") }
      timer.stop()
      try expectCode(.invalidArgument) { try timer.again() }
      #expect(!timer.isActive)
      timer.close()
    }
  }

  @Test func `E-21 again without a repeat does nothing`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let timer = try TimerHandle()
      let fired = try Promise<Void>()
      try timer.start(after: .milliseconds(5)) {
        calls.mark("fired")
        fired.resume(returning: ())
      }
      try timer.again()
      #expect(timer.isActive)
      try await fired.value()
      try timer.again()
      #expect(!timer.isActive)
      try await loop.sleep(for: .milliseconds(10))
      timer.close()
    }
  }

  @Test func `E-21 again starts a repeating timer anew with its interval as the delay`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      let fired = try Promise<EventLoop.Clock.Instant>()
      try timer.start(after: .seconds(3_600), repeating: .milliseconds(20)) {
        fired.resume(returning: loop.clock.now)
      }
      let start = loop.clock.now
      try timer.again()
      #expect(try #require(timer.dueIn) <= .milliseconds(20))
      // The interval is libuv's, in milliseconds of the loop's time.
      #expect(start.duration(to: try await fired.value()) > .milliseconds(19))
      timer.close()
    }
  }

  @Test func `E-21 an interval set in the callback holds after the next expiry`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      let done = try Promise<Void>()
      var due: [Duration] = []
      try timer.start(after: .milliseconds(1), repeating: .milliseconds(5)) {
        timer.repeatInterval = .seconds(3_600)
        due.append(timer.dueIn ?? .zero)
        if due.count == 2 { done.resume(returning: ()) }
      }
      try await done.value()
      // At the first call the timer is armed already, with the old interval; from the second on it is the new one.
      #expect(due[0] <= .milliseconds(5))
      #expect(due[1] > .seconds(3_500))
      #expect(timer.repeatInterval == .seconds(3_600))
      timer.close()
    }
  }

  @Test(arguments: [
    (Duration.nanoseconds(1), Duration.milliseconds(1)), (.microseconds(1_500), .milliseconds(2)),
    (.milliseconds(3), .milliseconds(3)), (.zero, .zero), (.seconds(-1), .zero),
  ])
  func `E-21 an interval is rounded up to milliseconds, and less than zero is zero`(
    interval: Duration, rounded: Duration
  ) async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      #expect(timer.repeatInterval == .zero)
      timer.repeatInterval = interval
      #expect(timer.repeatInterval == rounded)
      try timer.start(after: .seconds(60), repeating: interval) {}
      #expect(timer.repeatInterval == rounded)
      timer.close()
    }
  }

  @Test func `E-21 an interval of zero set in the callback ends the repetition after the next expiry`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired", 2)
      let timer = try TimerHandle()
      try timer.start(after: .milliseconds(1), repeating: .milliseconds(1)) {
        calls.mark("fired")
        timer.repeatInterval = .zero
      }
      while timer.isActive { try await loop.sleep(for: .milliseconds(1)) }
      try await loop.sleep(for: .milliseconds(10))
      timer.close()
    }
  }

  @Test func `E-22 dueIn is nil before start, right while running, and nil after stop`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      #expect(timer.dueIn == nil)
      try timer.start(after: .seconds(60)) {}
      let due = try #require(timer.dueIn)
      #expect(due > .seconds(50) && due <= .seconds(60) + .milliseconds(1))
      spin(for: .milliseconds(20))
      #expect(try #require(timer.dueIn) <= due - .milliseconds(19))
      timer.stop()
      #expect(timer.dueIn == nil)
      timer.close()
      #expect(timer.dueIn == nil)
    }
  }

  @Test func `E-22 dueIn is zero for a timer that is due`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      try timer.start(after: .zero) {}
      #expect(timer.dueIn == .zero)
      try timer.start(after: .milliseconds(1)) {}
      spin(for: .milliseconds(3))
      #expect(timer.dueIn == .zero)
      timer.close()
    }
  }

  @Test func `E-22 the description tells the loop and the state`() async throws {
    try await onTestLoop("gauge") { loop, calls in
      let timer = try TimerHandle()
      #expect(timer.description == "TimerHandle on loop \"gauge\", inactive")
      try timer.start(after: .seconds(60)) {}
      #expect(timer.description.hasPrefix("TimerHandle on loop \"gauge\", active, due in "))
      timer.close()
      #expect(timer.description == "TimerHandle on loop \"gauge\", closed")
    }
  }
}
