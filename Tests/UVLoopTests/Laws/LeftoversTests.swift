import Testing

@testable import UVLoop

/// Whatever is left on a loop, it closes: `uv_loop_close` returns 0 (anything else stops the process), and every handle
/// that was made has been closed and freed.
@Suite(.alone) struct LeftoversTests {
  /// Shuts down a loop on which `leave` left something, and compares what was made with what was freed.
  private func expectClean(
    created: Int, _ leave: @Sendable (_ loop: isolated EventLoop) async throws -> Void
  ) async throws {
    let loop = try EventLoop()
    let handles = await loop.run { $0.probe.handles }
    try await loop.run { loop in try await leave(loop) }
    let report = await loop.shutdown()
    #expect(report.unfinished.isEmpty)
    #expect(report.foreignHandles.isEmpty)
    await expectThreadGone(loop.thread)
    #expect(handles.created == created)
    #expect(handles.closed == created)
    #expect(handles.freed == created)
    #expect(handles.open == 0)
    #expect(loop.probe.isEmptied)
  }

  @Test func `G-08 a loop without anything closes`() async throws { try await expectClean(created: 0) { _ in } }

  @Test func `G-08 a loop with a running timer closes`() async throws {
    try await expectClean(created: 2) { _ in
      let once = try TimerHandle()
      try once.start(after: .seconds(3_600)) {}
      let often = try TimerHandle()
      try often.start(after: .zero, repeating: .milliseconds(1)) {}
    }
  }

  @Test func `G-08 a loop with timers that are stopped, fired or never started closes`() async throws {
    let fired = Event("the timer")
    try await expectClean(created: 3) { loop in
      let stopped = try TimerHandle()
      try stopped.start(after: .seconds(3_600)) {}
      stopped.stop()
      let never = try TimerHandle()
      let once = try TimerHandle()
      try once.start(after: .zero) { fired.signal() }
      try loop.onShutdown { withExtendedLifetime((stopped, never, once)) {} }
      try await fired.wait()
    }
  }

  @Test func `G-08 a loop with a handle that is just closing closes`() async throws {
    try await expectClean(created: 2) { loop in
      let early = try TimerHandle()
      early.close()
      let late = try TimerHandle()
      try loop.onShutdown { late.close() }
    }
  }

  @Test func `G-08 a loop with an AsyncHandle closes, held, with a send pending or dropped`() async throws {
    try await expectClean(created: 3) { loop in
      let held = try AsyncHandle {}
      let pending = try AsyncHandle {}
      pending.sender.send()
      _ = try AsyncHandle {}
      try loop.onShutdown {
        held.sender.send()
        withExtendedLifetime((held, pending)) {}
      }
    }
  }

  @Test func `G-08 a loop with scheduled calls closes`() async throws {
    try await expectClean(created: 0) { loop in
      for delay in 0..<100 { try loop.schedule(after: .seconds(delay)) {} }
    }
  }

  @Test func `G-08 a loop with sleepers closes`() async throws {
    let begun = Event("the begin of a task")
    try await expectClean(created: 0) { loop in
      for _ in 0..<100 {
        Task {
          begun.signal()
          try await loop.sleep(for: .seconds(3_600))
        }
      }
      try await begun.wait(times: 100)
    }
  }

  @Test func `G-08 a loop with queued and running calls closes`() async throws {
    await #expect(processExitsWith: .success) {
      try await LeftoversTests().expectClean(created: 0) { loop in
        let workers = try await HeldWorkers(4, on: loop)
        let owner = loop as EventLoop
        for _ in 0..<20 { Task { [weak owner] in try await owner?.offload {} } }
        let isQueued = await eventually { ThreadPool.statistics.queued == 20 }
        #expect(isQueued)
        // They are let go only when the shutdown already waits.
        PlainThread {
          while owner.state == .running { Posix.yield() }
          workers.open()
        }
      }
    }
  }

  @Test func `G-08 a loop with all of it at once closes`() async throws {
    let begun = Event("the begin of something")
    try await expectClean(created: 4) { loop in
      let timer = try TimerHandle()
      try timer.start(after: .zero, repeating: .milliseconds(1)) {}
      let stopped = try TimerHandle()
      let wake = try AsyncHandle {}
      let other = try AsyncHandle {}
      try loop.onShutdown { withExtendedLifetime((timer, stopped, wake, other)) {} }
      wake.sender.send()
      try loop.schedule(after: .seconds(3_600)) {}
      Task {
        begun.signal()
        try await loop.sleep(for: .seconds(3_600))
      }
      Task {
        try await loop.offload { begun.signal() }
      }
      Task {
        begun.signal()
        for try await _ in try loop.ticks(every: .milliseconds(1)) {}
      }
      loop.task { loop in
        begun.signal()
        try await loop.withTimeout(.seconds(3_600)) { try await loop.sleep(for: .seconds(3_600)) }
      }
      try await begun.wait(times: 4)
    }
  }

  /// Nothing of the loop's own has had time to happen.
  @Test func `G-08 loops that are shut down as soon as they run close`() async throws {
    for _ in 0..<100 {
      let loop = try EventLoop()
      let report = await loop.shutdown()
      #expect(report.unfinished.isEmpty && report.foreignHandles.isEmpty)
      #expect(loop.state == .stopped)
    }
  }
}
