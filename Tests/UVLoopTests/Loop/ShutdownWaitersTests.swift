import Testing

@testable import UVLoop

/// Whoever waits when the loop ends is told. None of these tests gives a limit: what hangs is found by the wait for it.
@Suite(.alone) struct ShutdownWaitersTests {
  /// Starts `wait` in a task, shuts down once `isWaiting`, and gives the code of the error that the task ended with.
  private func codeAtShutdown(
    of loop: EventLoop, when isWaiting: () async -> Bool, _ wait: @Sendable @escaping () async throws -> Void
  ) async throws -> UVError.Code? {
    let ended = Event("the end of the wait")
    let code = Shared<UVError.Code?>(nil)
    let task = Task {
      code.value = await codeOfError(wait)
      ended.signal()
    }
    #expect(await eventually { await isWaiting() })
    #expect(!ended.hasHappened)
    await loop.shutdown()
    try await ended.wait()
    await task.value
    return code.value
  }

  @Test func `G-04 a sleeper off the loop is released with loopClosed`() async throws {
    try await withTestLoop { loop, _ in
      let code = try await codeAtShutdown(of: loop, when: { await loop.run { $0.probe.timers } == 1 }) {
        try await loop.sleep(for: .seconds(3_600))
      }
      #expect(code == .loopClosed)
    }
  }

  @Test func `G-04 a sleeper on the loop is released with loopClosed`() async throws {
    try await withTestLoop { loop, _ in
      let code = try await codeAtShutdown(of: loop, when: { await loop.run { $0.probe.timers } == 1 }) {
        try await loop.run { loop in try await loop.sleep(for: .seconds(3_600)) }
      }
      #expect(code == .loopClosed)
    }
  }

  @Test func `G-04 an iterator of ticks is released with loopClosed`() async throws {
    try await withTestLoop { loop, _ in
      let code = try await codeAtShutdown(of: loop, when: { await loop.run { $0.probe.timers } == 1 }) {
        for try await _ in try loop.ticks(every: .seconds(3_600)) {}
      }
      #expect(code == .loopClosed)
    }
  }

  @Test func `G-04 a body under withTimeout is cancelled, and its caller gets loopClosed`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("cancelled")
      let code = try await codeAtShutdown(of: loop, when: { await loop.run { $0.probe.timers } == 1 }) {
        try await loop.withTimeout(.seconds(3_600)) {
          do { try await Task.sleep(for: .seconds(3_600)) } catch {
            calls.mark("cancelled")
            throw error
          }
        }
      }
      #expect(code == .loopClosed)
    }
  }

  @Test func `G-04 everybody who waits for a promise is released with loopClosed`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("released", 3)
      let tasks = try await loop.run { loop in
        let promise = Disconnected(try Promise<Int>())
        return (0..<3).map { _ in
          Task {
            let code = await codeOfError {
              try await loop.run { _ in _ = try await promise.take().value() }
            }
            if code == .loopClosed { calls.mark("released") }
          }
        }
      }
      #expect(await eventually { await loop.run { $0.probe.waits } == 3 })
      await loop.shutdown()
      for task in tasks { await task.value }
    }
  }

  @Test func `G-04 a thread in runBlocking is released with loopClosed, and its body is cancelled`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("cancelled")
      let code = try await codeAtShutdown(of: loop, when: { await loop.run { $0.probe.timers } == 1 }) {
        try await onPlainThread {
          try loop.runBlocking { loop in
            do { try await loop.sleep(for: .seconds(3_600)) } catch {
              if Task.isCancelled { calls.mark("cancelled") }
              throw error
            }
          }
        }
      }
      #expect(code == .loopClosed)
      #expect(await eventually { calls.count("cancelled") == 1 })
    }
  }

  @Test func `G-04 a thread in runBlocking is released also when its body ignores the cancellation`() async throws {
    try await withTestLoop { loop, _ in
      let go = Event("the body may end")
      let begun = Event("the begin of the body")
      let code = try await codeAtShutdown(of: loop, when: { begun.hasHappened }) {
        try await onPlainThread {
          try loop.runBlocking { _ in
            begun.signal()
            try await go.wait()
          }
        }
      }
      #expect(code == .loopClosed)
      go.signal()
    }
  }

  @Test func `G-04 an offload in the queue still runs when shutdown has no limit`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        calls.expect("queued", 3)
        let workers = try await HeldWorkers(4, on: loop)
        let queued = (0..<3).map { _ in Task { try await loop.offload { calls.mark("queued") } } }
        let isQueued = await eventually { ThreadPool.statistics.queued == 3 }
        #expect(isQueued)
        let end = Task { await loop.shutdown() }
        let isStopping = await eventually { loop.state == .stopping }
        #expect(isStopping)
        try await workers.release()
        for task in queued { try await task.value }
        let report = await end.value
        #expect(report.unfinished.isEmpty)
      }
    }
  }

  @Test func `G-04 an offload in the queue gets loopClosed when the limit is over, and never runs`() async throws {
    await #expect(processExitsWith: .success) {
      let loop = try EventLoop()
      let ran = Counter()
      let released = Event("the release of the captures")
      let workers = try await HeldWorkers(4, on: loop)
      let queued = (0..<3).map { _ in
        Task {
          let witness = ReleaseWitness(released)
          try await loop.offload {
            witness.touch()
            ran.add()
          }
        }
      }
      let isQueued = await eventually { ThreadPool.statistics.queued == 3 }
      #expect(isQueued)
      let report = await loop.shutdown(within: .milliseconds(100))
      #expect(report.unfinished.compactMap(\.label).sorted() == ["holder 1", "holder 2", "holder 3", "holder 4"])
      for task in queued {
        let code = await codeOfError { _ = try await task.value }
        #expect(code == .loopClosed)
      }
      try await released.wait(times: 3)
      #expect(ran.value == 0)
      #expect(ThreadPool.statistics.queued == 0)
      try await workers.release()
      await expectThreadGone(loop.thread)
    }
  }
}
