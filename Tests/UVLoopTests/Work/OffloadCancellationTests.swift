import Testing

@testable import UVLoop

@Suite(.alone) struct OffloadCancellationTests {
  private struct Broken: Error, Equatable { let number: Int }

  // MARK: C-06

  @Test func `C-06 in a cancelled task it throws and sends the loop nothing`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body", 0)
      let before = loop.probe.posts
      let error = await Task.detached { () -> (any Error)? in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        do { try await loop.offload { calls.mark("body") } } catch { return error }
        return nil
      }.value
      #expect(error is CancellationError)
      #expect(loop.probe.posts == before)
    }
  }

  // MARK: C-07

  @Test func `C-07 cancelled in the queue it never runs, is released, and its caller goes on promptly`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        calls.expect("body", 0)
        let workers = try await HeldWorkers(4, on: loop)
        let released = Event("the release of the captures")
        let task = Task {
          let witness = ReleaseWitness(released)
          try await loop.offload {
            witness.touch()
            calls.mark("body")
          }
        }
        #expect(await eventually { ThreadPool.statistics.queued == 1 })
        let clock = ContinuousClock()
        let start = clock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(start.duration(to: clock.now) < .milliseconds(500))
        try await released.wait()
        #expect(ThreadPool.statistics.queued == 0)
        #expect(ThreadPool.statistics.running == 4)
        try await workers.release()
      }
    }
  }

  @Test(arguments: [true, false])
  func `C-07 cancelled in the queue it never runs though its loop has no time to take it out`(hasScope: Bool)
    async throws
  {
    await #expect(processExitsWith: .success) { [hasScope] in
      try await withTestLoop { loop, calls in
        calls.expect("body", 0)
        let workers = try await HeldWorkers(4, on: loop)
        let task =
          hasScope
          ? loop.task { loop in try await loop.offload { calls.mark("body") } }
          : Task { try await loop.offload { calls.mark("body") } }
        #expect(await eventually { ThreadPool.statistics.queued == 1 })
        let isHeld = Event("the loop is held")
        let mayGoOn = Event("the loop may go on")
        try loop.post {
          isHeld.signal()
          mayGoOn.waitBlocking()
        }
        try await isHeld.wait()
        task.cancel()
        workers.open()
        #expect(await eventually { ThreadPool.statistics.queued == 0 && ThreadPool.statistics.running == 0 })
        mayGoOn.signal()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await workers.release()
      }
    }
  }

  @Test func `C-11 in tasks of the loop calls cancelled about when they begin ran or were cancelled, never both`()
    async throws
  {
    try await withTestLoop { loop, _ in
      let (finished, cancelled) = (Counter(), Counter())
      for round in 0..<2_000 {
        let (ran, isDone) = (Counter(), Shared(false))
        let task = loop.task { loop in
          // A second call, since the first one's place in the scope must be free again.
          for _ in 0..<2 { try await loop.offload { _ = ran.add() } }
          isDone.value = true
        }
        spin(for: .nanoseconds(round % 100 * 300))
        task.cancel()
        switch await task.result {
        case .success:
          finished.add()
          #expect(ran.value == 2 && isDone.value)
        case .failure(let error):
          cancelled.add()
          #expect(error is CancellationError && !isDone.value)
        }
      }
      #expect(finished.value + cancelled.value == 2_000)
    }
  }

  // MARK: C-08, C-10

  @Test func `C-08 cancelled while it runs the caller waits and gets the result`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("end")
      let begun = Event("the begin of the call")
      let go = Event("the call may end")
      let task = Task {
        try await loop.offload {
          begun.signal()
          go.waitBlocking()
          calls.mark("end")
          return 7
        }
      }
      let isBack = Event("the caller is back")
      let watch = Task {
        let result = await task.result
        isBack.signal()
        return result
      }
      try await begun.wait()
      task.cancel()
      // A later message to the loop has been answered: the cancellation has been seen by then.
      await loop.run { _ in }
      #expect(!isBack.hasHappened)
      go.signal()
      #expect(try await watch.value.get() == 7)
    }
  }

  @Test func `C-08 cancelled while it runs the caller gets the closure's own error`() async throws {
    try await withTestLoop { loop, _ in
      let begun = Event("the begin of the call")
      let go = Event("the call may end")
      let task = Task {
        try await loop.offload {
          begun.signal()
          go.waitBlocking()
          throw Broken(number: 3)
        }
      }
      try await begun.wait()
      task.cancel()
      await loop.run { _ in }
      go.signal()
      await #expect(throws: Broken(number: 3)) { try await task.value }
    }
  }

  @Test func `C-10 a running closure sees its task cancelled`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("cancelled")
      let begun = Event("the begin of the call")
      let task = Task {
        try await loop.offload { () -> Bool in
          let wasCancelled = Task.isCancelled
          begun.signal()
          let deadline = MonotonicClock.now(plus: .seconds(20))
          while !Task.isCancelled && MonotonicClock.now() < deadline { Posix.yield() }
          if Task.isCancelled { calls.mark("cancelled") }
          return wasCancelled
        }
      }
      try await begun.wait()
      task.cancel()
      #expect(try await task.value == false)
    }
  }

  // MARK: C-11

  @Test func `C-11 of 10 000 calls cancelled at random moments each ran or was cancelled, never both`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let cancelled = Counter()
        let finished = Counter()
        var random = SystemRandomNumberGenerator()
        for round in 0..<100 {
          // In every other round the workers are held for the first half, so that the queue fills.
          let held = round.isMultiple(of: 2) ? try await HeldWorkers(ThreadPool.size, on: loop) : nil
          let ran = (0..<100).map { _ in Counter() }
          let tasks = ran.map { counter in
            Task { try await loop.offload { counter.add() } }
          }
          // Some before they reach the loop, some in the queue, some while they run, some afterwards, and one not at
          // all.
          for (index, task) in tasks.shuffled(using: &random).enumerated() {
            if index == 50 { held?.open() }
            if index == 99 { continue }
            // To let others have the CPU takes milliseconds on a busy machine, and so is rare.
            spin(for: .nanoseconds(Int.random(in: 0...20_000, using: &random)))
            if Int.random(in: 0..<8, using: &random) == 0 { Posix.yield() }
            if Bool.random(using: &random) { await Task.yield() }
            task.cancel()
          }
          for (counter, task) in zip(ran, tasks) {
            switch await task.result {
            case .success(let value):
              finished.add()
              #expect(value == 1 && counter.value == 1)
            case .failure(let error):
              cancelled.add()
              #expect(error is CancellationError)
              #expect(counter.value == 0)
            }
          }
          try await held?.release()
        }
        #expect(finished.value + cancelled.value == 10_000)
        #expect(
          finished.value >= 100 && cancelled.value >= 2_500, "\(finished.value) ran, \(cancelled.value) were cancelled")
        #expect(ThreadPool.statistics.queued == 0 && ThreadPool.statistics.running == 0)
      }
    }
  }

  // MARK: C-12

  @Test func `C-12 the first call of a process can be cancelled in the iteration that makes the pool`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        let task = loop.task { loop in try await loop.offload { calls.mark("body") } }
        // Runs right behind the task's first part, which submits the request.
        try loop.post { task.cancel() }
        do { try await task.value } catch { #expect(error is CancellationError) }
        let after = try await loop.offload { 7 }
        #expect(after == 7)
      }
    }
  }

  @Test func `C-12 the first call of a process can be cancelled before it reaches the loop`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        calls.expect("body", 0)
        let blocked = Event("the loop is held")
        let go = Event("the loop may go on")
        try loop.post {
          blocked.signal()
          go.waitBlocking()
        }
        try await blocked.wait()
        let before = loop.probe.posts
        let task = Task.detached { try await loop.offload { calls.mark("body") } }
        #expect(await eventually { loop.probe.posts > before })
        task.cancel()
        go.signal()
        await #expect(throws: CancellationError.self) { try await task.value }
        let after = try await loop.offload { 7 }
        #expect(after == 7)
      }
    }
  }
}
