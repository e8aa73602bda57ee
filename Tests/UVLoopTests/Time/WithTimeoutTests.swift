import Testing

@testable import UVLoop

@Suite(.sideBySide) struct WithTimeoutTests {
  private struct Refusal: Error, Equatable {
    let number: Int
  }

  private final class Plain {
    var number = 7
  }

  @Test func `F-01 of nested limits the inner one comes first: it throws timedOut and the outer body goes on`()
    async throws
  {
    try await onTestLoop(time: .autojump) { loop, calls in
      let start = loop.clock.now
      let result = try await loop.withTimeout(.seconds(60)) {
        let inner = try await errorCode {
          try await loop.withTimeout(.milliseconds(10)) { try await loop.sleep(for: .seconds(3_600)) }
        }
        #expect(inner == .timedOut)
        #expect(start.duration(to: loop.clock.now) == .milliseconds(10))
        try await loop.sleep(for: .milliseconds(5))
        return "went on"
      }
      #expect(result == "went on")
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `F-02 of nested limits the outer one comes first: both bodies are cancelled, only it says timedOut`()
    async throws
  {
    try await onTestLoop(time: .autojump) { loop, calls in
      let outer = try await errorCode {
        try await loop.withTimeout(.milliseconds(10)) {
          let inner = try await endsCancelled {
            try await loop.withTimeout(.seconds(60)) {
              let body = try await endsCancelled { try await loop.sleep(for: .seconds(3_600)) }
              #expect(body)
              throw CancellationError()
            }
          }
          #expect(inner)
          calls.mark("inner was cancelled")
          throw CancellationError()
        }
      }
      #expect(outer == .timedOut)
      #expect(calls.log == ["inner was cancelled"])
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `F-03 a cancellation from outside stays a CancellationError`() async throws {
    try await onTestLoop { loop, calls in
      let task = loop.task { loop in
        try await loop.withTimeout(.seconds(60)) { try await loop.sleep(for: .seconds(3_600)) }
      }
      while loop.probe.timers < 2 { try await loop.sleep(for: .zero) }
      task.cancel()
      try await expectCancelled { try await task.value }
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `F-03 a cancellation that comes after the expiry, while the body ends, stays a CancellationError`()
    async throws
  {
    try await onTestLoop { loop, calls in
      let (expired, go) = (Event("the expiry"), Event("permission to end"))
      let task = loop.task { loop in
        try await loop.withTimeout(.milliseconds(5)) {
          try? await loop.sleep(for: .seconds(3_600))
          expired.signal()
          try await go.wait()
          throw CancellationError()
        }
      }
      try await expired.wait()
      task.cancel()
      go.signal()
      try await expectCancelled { try await task.value }
    }
  }

  @Test func `F-04 the cancelled body is awaited, and then timedOut is thrown`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      calls.expect("cleaned up")
      let start = loop.clock.now
      let code = try await errorCode {
        try await loop.withTimeout(.milliseconds(10)) {
          let isCancelled = try await endsCancelled { try await loop.sleep(for: .seconds(3_600)) }
          #expect(isCancelled)
          #expect(start.duration(to: loop.clock.now) == .milliseconds(10))
          // A wait that no cancellation ends.
          try await Task { try await loop.sleep(for: .milliseconds(20)) }.value
          calls.mark("cleaned up")
          throw CancellationError()
        }
      }
      #expect(code == .timedOut)
      #expect(calls.count("cleaned up") == 1)
      #expect(start.duration(to: loop.clock.now) == .milliseconds(30))
    }
  }

  @Test func `F-04 a value that the cancelled body still returns is passed on`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      let value = try await loop.withTimeout(.milliseconds(5)) {
        try? await loop.sleep(for: .seconds(3_600))
        return Task.isCancelled ? "cancelled, but done" : "not cancelled"
      }
      #expect(value == "cancelled, but done")
    }
  }

  @Test func `F-04 an error of its own that the cancelled body still throws is passed on`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      let error = await #expect(throws: Refusal.self) {
        try await loop.withTimeout(.milliseconds(5)) {
          try? await loop.sleep(for: .seconds(3_600))
          throw Refusal(number: 3)
        }
      }
      #expect(error == Refusal(number: 3))
    }
  }

  @Test func `F-05 an error of the body passes through unchanged`() async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      let error = await #expect(throws: Refusal.self) {
        try await loop.withTimeout(.seconds(60)) {
          try await loop.sleep(for: .milliseconds(1))
          throw Refusal(number: 5)
        }
      }
      #expect(error == Refusal(number: 5))
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `F-05 a CancellationError of a body that nobody cancelled stays one`() async throws {
    try await onTestLoop { loop, calls in
      let isCancelled = try await endsCancelled {
        try await loop.withTimeout(.seconds(60)) { throw CancellationError() }
      }
      #expect(isCancelled)
    }
  }

  @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(Int64.min)])
  func `F-06 with a limit of zero or less the body does not start and timedOut is thrown`(limit: Duration) async throws
  {
    try await onTestLoop { loop, calls in
      let code = try await errorCode { try await loop.withTimeout(limit) { calls.mark("body") } }
      #expect(code == .timedOut)
      #expect(calls.count("body") == 0)
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `F-09 in a task that is already cancelled the body does not start and no timer is left`() async throws {
    try await onTestLoop { loop, calls in
      let task = loop.task { loop in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        let isCancelled = try await endsCancelled { try await loop.withTimeout(.seconds(60)) { calls.mark("body") } }
        return (isCancelled, loop.probe.timers)
      }
      let (isCancelled, timers) = try await task.value
      #expect(isCancelled)
      #expect(timers == 0)
      #expect(calls.count("body") == 0)
    }
  }

  @Test(arguments: [Duration.seconds(Int64.max), .seconds(Int64.max) + .seconds(Int64.max), .nanoseconds(Int64.max)])
  func `F-10 the largest limits are as good as none`(limit: Duration) async throws {
    try await onTestLoop(time: .autojump) { loop, calls in
      let value = try await loop.withTimeout(limit) {
        // A century.
        try await loop.sleep(for: .seconds(3_155_760_000))
        return Task.isCancelled
      }
      #expect(value == false)
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `F-10 a body without a wait returns its value, which need not be Sendable`() async throws {
    try await onTestLoop { loop, calls in
      let plain = try await loop.withTimeout(.seconds(60)) { Plain() }
      #expect(plain.number == 7)
      #expect(loop.probe.timers == 0)
    }
  }

  @MainActor @Test func `F-04 called on MainActor the body runs there and is cancelled there`() async throws {
    try await withTestLoop { loop, calls in
      let code = try await errorCode {
        try await loop.withTimeout(.milliseconds(10)) {
          // Its thread may change; its isolation may not, and the precondition would stop the process.
          MainActor.preconditionIsolated()
          calls.mark("begins")
          try? await loop.sleep(for: .seconds(3_600))
          MainActor.preconditionIsolated()
          calls.mark("ends")
          throw CancellationError()
        }
      }
      MainActor.preconditionIsolated()
      #expect(code == .timedOut)
      #expect(calls.log == ["begins", "ends"])
      await expectEventually { await loop.run { $0.probe.timers } == 0 }
    }
  }

  @Test func `F-03 at shutdown the body is cancelled and the call ends with loopClosed`() async throws {
    try await withTestLoop { loop, calls in
      let waiting = Task.detached {
        try await loop.withTimeout(.seconds(60)) {
          // Not a wait of the loop's: only the limit's end can cancel it.
          try await Task.sleep(for: .seconds(3_600))
        }
      }
      await expectEventually { await loop.run { $0.probe.timers } == 1 }
      await loop.shutdown()
      try await expectCode(.loopClosed) { try await waiting.value }
    }
  }

  @Test func `F-08 of 5 000 limits that race with the ends of their bodies each gives one result`() async throws {
    try await withTestLoop { loop, calls in
      let (values, expiries) = (Counter(), Counter())
      for round in 0..<10 {
        let call: @Sendable () async throws -> Void = {
          let limit = Duration.microseconds(.random(in: 1...2_000))
          let delay = Duration.microseconds(.random(in: 0...2_000))
          do {
            try await loop.withTimeout(limit) { try await loop.sleep(for: delay) }
            values.add()
          } catch let error as UVError where error.code == .timedOut {
            expiries.add()
          }
        }
        let tasks = (0..<500).map { index in
          index % 2 == round % 2 ? loop.task { _ in try await call() } : Task.detached { try await call() }
        }
        for task in tasks { try await task.value }
      }
      #expect(values.value + expiries.value == 5_000)
      #expect(values.value > 0 && expiries.value > 0)
      await expectEventually { await loop.run { $0.probe.timers } == 0 }
    }
  }

  @Test func `D-07 in a task that prefers another loop the body goes on there after each wait`() async throws {
    try await withTestLoop("limiting") { limiting, _ in
      try await withTestLoop("preferred") { preferred, _ in
        let places = try await Task(executorPreference: preferred.taskExecutor) {
          try await limiting.withTimeout(.seconds(60)) {
            var places = [EventLoop.current?.name]
            await Task.yield()
            places.append(EventLoop.current?.name)
            try await limiting.sleep(for: .zero)
            places.append(EventLoop.current?.name)
            return places
          }
        }.value
        #expect(places == ["preferred", "preferred", "preferred"])
      }
    }
  }
}
