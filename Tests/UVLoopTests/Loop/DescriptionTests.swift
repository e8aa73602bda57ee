import Testing

@testable import UVLoop

@Suite(.sideBySide) struct DescriptionTests {
  @Test func `H-10 a loop's description gives its name, state and thread`() async throws {
    let loop = try EventLoop(.init(name: "kitchen"))
    #expect("\(loop)" == "EventLoop \"kitchen\", running, on \(loop.thread)")
    let during = Shared("")
    try await loop.run { loop in _ = try loop.onShutdown { during.value = "\(loop)" } }
    await loop.shutdown()
    #expect(during.value == "EventLoop \"kitchen\", stopping, on \(loop.thread)")
    #expect("\(loop)" == "EventLoop \"kitchen\", stopped, on \(loop.thread)")
    await expectThreadGone(loop.thread)
  }

  @Test func `H-10 a timer's description gives its loop and state`() async throws {
    try await onTestLoop("kitchen") { loop, _ in
      let timer = try TimerHandle()
      #expect("\(timer)" == "TimerHandle on loop \"kitchen\", inactive")
      try timer.start(after: .seconds(1_000)) {}
      #expect("\(timer)".hasPrefix("TimerHandle on loop \"kitchen\", active, due in "))
      #expect("\(timer)".hasSuffix(" s"))
      timer.stop()
      #expect("\(timer)" == "TimerHandle on loop \"kitchen\", inactive")
      timer.close()
      #expect("\(timer)" == "TimerHandle on loop \"kitchen\", closed")
    }
  }

  @Test func `H-10 a scheduled call's description gives its loop and state, also when it was cancelled`() async throws {
    try await onTestLoop("kitchen") { loop, _ in
      let pending = try loop.schedule(after: .seconds(1_000)) {}
      #expect("\(pending)".hasPrefix("ScheduledCall on loop \"kitchen\", pending, due in 9"))
      pending.cancel()
      #expect("\(pending)" == "ScheduledCall on loop \"kitchen\", cancelled")
      let fired = Event("the call")
      let due = try loop.schedule(after: .zero) { fired.signal() }
      try await fired.wait()
      #expect("\(due)" == "ScheduledCall on loop \"kitchen\", fired")
    }
  }

  @Test func `H-10 a scheduled call that shutdown dropped says so`() async throws {
    let loop = try EventLoop(.init(name: "kitchen"))
    let call = try await loop.run { loop in Disconnected(try loop.schedule(after: .seconds(1_000)) {}) }
    await loop.shutdown()
    #expect("\(call.take())" == "ScheduledCall on loop \"kitchen\", dropped at shutdown")
    await expectThreadGone(loop.thread)
  }

  @Test func `H-10 a thread's description gives its name and both ids`() async throws {
    try await withTestLoop("kitchen") { loop, _ in
      let thread = loop.thread
      #expect("\(thread)" == "kitchen (thread \(thread.id), kernel id \(thread.kernelID))")
    }
  }

  @Test func `H-10 promises, polls, signals and asyncs give their loop and state too`() async throws {
    try await onTestLoop("kitchen") { loop, _ in
      let promise = try Promise<Int>()
      #expect("\(promise)" == "Promise on loop \"kitchen\", 0 waiting")
      promise.resume(returning: 1)
      #expect("\(promise)" == "Promise on loop \"kitchen\", resumed")
      let async = try AsyncHandle {}
      #expect("\(async)" == "AsyncHandle on loop \"kitchen\", open")
      async.close()
      #expect("\(async)" == "AsyncHandle on loop \"kitchen\", closed")
      let signal = try SignalHandle(.windowChange)
      #expect("\(signal)".contains("\"kitchen\"") && "\(signal)".contains("SIGWINCH"))
      #expect("\(signal)".hasSuffix("inactive"))
    }
  }
}
