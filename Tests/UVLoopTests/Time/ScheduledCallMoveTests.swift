import Testing

@testable import UVLoop

/// Reschedule, release, and the end of scheduled calls.
@Suite(.sideBySide) struct ScheduledCallMoveTests {
  @Test func `E-10 a call that is moved to earlier runs once, then`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      calls.expect("fired")
      let moment = loop.clock.now.advanced(by: .milliseconds(10))
      let call = try loop.schedule(after: .seconds(3_600)) {
        calls.mark("fired")
        #expect(loop.clock.now == moment)
      }
      #expect(call.reschedule(after: .milliseconds(10)))
      #expect(call.deadline == moment)
      try await loop.advance(by: .seconds(7_200))
    }
  }

  @Test func `E-10 a call that is moved to later runs once, at the new time`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      calls.expect("fired")
      let moment = loop.clock.now.advanced(by: .milliseconds(60))
      let call = try loop.schedule(after: .milliseconds(5)) {
        calls.mark("fired")
        #expect(loop.clock.now == moment)
      }
      #expect(call.reschedule(at: moment))
      #expect(call.deadline == moment)
      try await loop.advance(by: .milliseconds(120))
    }
  }

  @Test func `E-10 a call that is moved again and again runs once, at the last time`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      calls.expect("fired")
      let moment = loop.clock.now.advanced(by: .milliseconds(20))
      let call = try loop.schedule(after: .zero) {
        calls.mark("fired")
        #expect(loop.clock.now == moment)
      }
      for delay in [30, 1, 50, 2, 3_600_000, 20] { #expect(call.reschedule(after: .milliseconds(delay))) }
      #expect(call.deadline == moment)
      try await loop.advance(by: .seconds(7_200))
    }
  }

  @Test func `E-10 a call that has fired cannot be moved, and nothing runs`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let fired = try Promise<Void>()
      let call = try loop.schedule(after: .zero) {
        calls.mark("fired")
        fired.resume(returning: ())
      }
      try await fired.value()
      let deadline = call.deadline
      #expect(!call.reschedule(after: .zero))
      #expect(!call.reschedule(at: loop.clock.now))
      #expect(call.deadline == deadline)
      try await iterate(loop)
    }
  }

  @Test func `E-10 a call cannot be moved in its own body`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let moved = try Promise<Bool?>()
      var call: ScheduledCall?
      call = try loop.schedule(after: .zero) {
        calls.mark("fired")
        moved.resume(returning: call?.reschedule(after: .zero))
      }
      #expect(try await moved.value() == false)
      try await iterate(loop)
      call = nil
    }
  }

  @Test func `E-10 a cancelled call cannot be moved, and nothing runs`() async throws {
    try await onTestLoop { loop, calls in
      let call = try loop.schedule(after: .seconds(60)) { calls.mark("fired") }
      call.cancel()
      #expect(!call.reschedule(after: .zero))
      #expect(!call.reschedule(at: loop.clock.now))
      try await iterate(loop)
      #expect(calls.count("fired") == 0)
    }
  }

  @Test func `E-11 10 000 cancelled calls leave the heap empty and release their closures at once`() async throws {
    try await onTestLoop { loop, calls in
      let gone = Counter()
      var pending: [ScheduledCall] = []
      for index in 0..<10_000 {
        let witness = Witness(gone)
        pending.append(
          try loop.schedule(after: .seconds(60 + index)) {
            witness.hold()
            calls.mark("fired")
          })
      }
      #expect(loop.probe.timers == 10_000)
      #expect(gone.value == 0)
      pending.shuffle()
      for call in pending { call.cancel() }
      #expect(loop.probe.timers == 0)
      #expect(gone.value == 10_000)
      #expect(calls.count("fired") == 0)
    }
  }

  @Test func `E-11 the closure of the next due call is released by its cancel`() async throws {
    try await onTestLoop { loop, calls in
      let gone = Counter()
      let next = try {
        let witness = Witness(gone)
        return try loop.schedule(after: .milliseconds(1)) { witness.hold() }
      }()
      try loop.schedule(after: .seconds(60)) {}.reschedule(after: .seconds(61))
      // Due, and in line for this iteration.
      spin(for: .milliseconds(3))
      next.cancel()
      #expect(gone.value == 1)
      #expect(loop.probe.timers == 1)
    }
  }

  @Test func `E-11 the closure of a call is released when it has fired`() async throws {
    try await onTestLoop { loop, calls in
      let gone = Counter()
      let fired = try Promise<Void>()
      let call = try {
        let witness = Witness(gone)
        return try loop.schedule(after: .zero) {
          witness.hold()
          fired.resume(returning: ())
        }
      }()
      try await fired.value()
      #expect(gone.value == 1)
      #expect(!call.isPending)
    }
  }

  @Test func `E-11 a call that is dropped by its maker still fires`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      calls.expect("fired")
      do {
        let call = try loop.schedule(after: .milliseconds(5)) { calls.mark("fired") }
        _ = consume call
      }
      try await loop.advance(by: .milliseconds(5))
    }
  }

  @Test func `K-13 a call that cancels another one due in the same iteration keeps it from firing`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("first")
      calls.expect("last")
      let done = try Promise<Void>()
      var second: ScheduledCall?
      try loop.schedule(after: .milliseconds(1)) {
        calls.mark("first")
        second?.cancel()
      }
      second = try loop.schedule(after: .milliseconds(2)) { calls.mark("second") }
      try loop.schedule(after: .milliseconds(3)) {
        calls.mark("last")
        done.resume(returning: ())
      }
      spin(for: .milliseconds(5))
      try await done.value()
      #expect(calls.log == ["first", "last"])
      second = nil
    }
  }
}
