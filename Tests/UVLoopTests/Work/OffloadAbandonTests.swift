import Testing

@testable import UVLoop

/// `onCancel: .abandon`. Loops that end with a call that still runs cannot come from the harness. One after the other,
/// since they hold workers, of which the process has four.
@Suite(.alone) struct OffloadAbandonTests {
  private struct Broken: Error, Equatable { let number: Int }

  @TaskLocal static var word = "unset"

  /// Shutdown does not wait for abandoned calls, and the harness takes none that is left.
  private static func waitUntilNoCallIsLeft(on loop: EventLoop) async {
    #expect(await eventually { await loop.run { $0.probe.requests.isEmpty } })
  }

  @Test func `C-09 a caller that is cancelled while the call runs goes on at once and the call to its end`()
    async throws
  {
    try await withTestLoop { loop, calls in
      calls.expect("saw the cancellation")
      let begun = Event("the begin of the call")
      let go = Event("the call may end")
      let ended = Event("the end of the call")
      let task = Task {
        try await loop.offload(onCancel: .abandon) {
          begun.signal()
          go.waitBlocking()
          if Task.isCancelled { calls.mark("saw the cancellation") }
          ended.signal()
        }
      }
      try await begun.wait()
      let clock = ContinuousClock()
      let start = clock.now
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(start.duration(to: clock.now) < .milliseconds(500))
      #expect(!ended.hasHappened)
      go.signal()
      try await ended.wait()
      await OffloadAbandonTests.waitUntilNoCallIsLeft(on: loop)
    }
  }

  @Test func `C-09 a late result is released, and a late error is nobody's`() async throws {
    try await withTestLoop { loop, _ in
      let begun = Event("the begin of a call")
      let go = Event("the calls may end")
      let released = Event("the release of the late result")
      let result = Task {
        try await loop.offload(onCancel: .abandon) { () -> ReleaseWitness in
          begun.signal()
          go.waitBlocking()
          return ReleaseWitness(released)
        }
      }
      let failure = Task {
        try await loop.offload(onCancel: .abandon) {
          begun.signal()
          go.waitBlocking()
          throw Broken(number: 1)
        }
      }
      try await begun.wait(times: 2)
      result.cancel()
      failure.cancel()
      await #expect(throws: CancellationError.self) { try await result.value }
      await #expect(throws: CancellationError.self) { try await failure.value }
      go.signal()
      try await released.wait()
      await OffloadAbandonTests.waitUntilNoCallIsLeft(on: loop)
    }
  }

  @Test func `C-09 shutdown does not wait for an abandoned call but names it, and the loop is closed after its end`()
    async throws
  {
    var loop: EventLoop? = try EventLoop()
    let core = try WeakCore(of: #require(loop))
    let thread = try #require(loop?.thread)
    let begun = Event("the begin of the call")
    let go = Event("the call may end")
    let task = Task { [loop] in
      try await loop?.offload(label: "stuck", onCancel: .abandon) {
        begun.signal()
        go.waitBlocking(within: .seconds(60))
      }
    }
    try await begun.wait()
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    let report = try #require(await loop?.shutdown())
    #expect(report.unfinished.map(\.label) == ["stuck"])
    #expect(loop?.state == .stopped)
    loop = nil
    #expect(!core.isFreed)
    go.signal()
    await expectThreadGone(thread)
    #expect(await eventually { core.isFreed })
  }

  @Test func `C-09 a caller that nobody cancels gets the result or the error where it was`()
    async throws
  {
    try await onTestLoop { loop, _ in
      let worker = try await loop.offload(onCancel: .abandon) { ThreadIdentity.current }
      #expect(worker != loop.thread && loop.isCurrent)
      do {
        try await loop.offload(onCancel: .abandon) { throw Broken(number: 7) }
        Issue.record("no error")
      } catch {
        #expect(error as? Broken == Broken(number: 7))
        #expect(loop.isCurrent)
      }
    }
    try await withTestLoop { loop, _ in
      let worker = try await Task { @MainActor in
        let worker = try await loop.offload(onCancel: .abandon) { ThreadIdentity.current }
        MainActor.preconditionIsolated()
        return worker
      }.value
      #expect(worker != loop.thread)
    }
  }

  @Test func `C-09 a result that is not Sendable arrives, and task-locals, name and priority are there`() async throws {
    final class Box { var number = 7 }
    try await withTestLoop { loop, _ in
      try await OffloadAbandonTests.$word.withValue("set") {
        try await Task(name: "named", priority: .high) {
          let box = try await loop.offload(onCancel: .abandon) {
            let box = Box()
            box.number += OffloadAbandonTests.word == "set" && Task.name == "named" ? 1 : 0
            box.number += Task.currentPriority == .high ? 1 : 0
            return box
          }
          #expect(box.number == 9)
        }.value
      }
    }
  }

  @Test func `C-09 cancelled in the queue it never runs and is released`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        calls.expect("body", 0)
        let workers = try await HeldWorkers(4, on: loop)
        let released = Event("the release of the captures")
        let task = Task {
          let witness = ReleaseWitness(released)
          try await loop.offload(onCancel: .abandon) {
            witness.touch()
            calls.mark("body")
          }
        }
        #expect(await eventually { ThreadPool.statistics.queued == 1 })
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await released.wait()
        #expect(ThreadPool.statistics.queued == 0)
        try await workers.release()
      }
    }
  }

  @Test func `C-09 cancelled before, closed and without a worker it is refused like any other call`() async throws {
    let loop = try EventLoop()
    let cancelled = await Task.detached { () -> (any Error)? in
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      do { try await loop.offload(onCancel: .abandon) {} } catch { return error }
      return nil
    }.value
    #expect(cancelled is CancellationError)
    await loop.shutdown()
    let code = await codeOfError { try await loop.offload(onCancel: .abandon) {} }
    #expect(code == .loopClosed)
  }

  @Test func `C-09 of 5 000 calls cancelled at random moments each caller is resumed once, and all calls end`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let resumed = Counter()
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50 {
          let tasks = (0..<100).map { number in
            Task {
              defer { resumed.add() }
              return try await loop.offload(onCancel: .abandon) { number }
            }
          }
          for task in tasks.shuffled(using: &random) {
            // To let others have the CPU takes milliseconds on a busy machine, and so is rare.
            spin(for: .nanoseconds(Int.random(in: 0...20_000, using: &random)))
            if Int.random(in: 0..<8, using: &random) == 0 { Posix.yield() }
            if Bool.random(using: &random) { await Task.yield() }
            task.cancel()
          }
          for (number, task) in tasks.enumerated() {
            switch await task.result {
            case .success(let value): #expect(value == number)
            case .failure(let error): #expect(error is CancellationError)
            }
          }
        }
        #expect(resumed.value == 5_000)
        await OffloadAbandonTests.waitUntilNoCallIsLeft(on: loop)
        #expect(ThreadPool.statistics.queued == 0 && ThreadPool.statistics.running == 0)
      }
    }
  }
}
