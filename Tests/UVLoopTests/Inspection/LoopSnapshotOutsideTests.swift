import Testing

@testable import UVLoop

/// What is on a loop, as seen from other threads.
@Suite(.alone) struct LoopSnapshotOutsideTests {
  @Test func `J-08 all that is on a loop is seen while its thread is blocked in a callback`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      let (functions, pair) = (BlockingFunctions(), SocketPair())
      try await withTestLoop("blocked") { loop, _ in
        defer { functions.release() }
        try loop.reportSlowCalls(over: .seconds(3_600)) { _ in }
        let held = try await HeldWorkers(1, on: loop)
        let waiting = Task { try await loop.offload(label: "in line") {} }
        let sleeper = loop.task(name: "sleeper") { loop in try await loop.sleep(for: .seconds(100)) }
        let limited = loop.task(name: "limited") { loop in
          let promise = try Promise<Void>()
          try await loop.withTimeout(.seconds(200)) { try await promise.value() }
        }
        await expectEventually {
          let now = await loop.snapshot()
          return now.sleepers.count == 1 && now.limits.count == 1 && now.waits == 1 && now.offloadsQueued.count == 1
        }
        let close = try await loop.run { loop in
          let poll = try PollHandle(descriptor: pair.watched)
          try poll.start(for: .readable) { _ in }
          let timer = try TimerHandle()
          try timer.start(after: .seconds(60)) {}
          let call = try loop.schedule(after: .seconds(50)) { _ = loop }
          try AsyncHandle {}.close()
          try TimerHandle().start(after: .zero) {
            for _ in 0..<3 { try? loop.post {} }
            functions.waitsForACondition()
          }
          return Disconnected((poll, timer, call))
        }
        try await functions.began.wait()

        let snapshot = try loop.snapshotFromOutside()
        #expect(!functions.isReleased)
        #expect(snapshot.loop == "blocked" && snapshot.state == .running)
        let running = try #require(snapshot.running)
        #expect(running.kind == .timerHandle && running.age >= .zero)
        #expect(snapshot.queued == 3)
        let handles = snapshot.handles.filter { $0.state == .active }.sorted { $0.kind < $1.kind }
        #expect(handles.map(\.kind) == ["PollHandle", "TimerHandle"])
        #expect(handles.first?.descriptor == pair.watched)
        #expect(handles.last?.dueIn ?? .zero > .seconds(30))
        #expect(snapshot.sleepers.count == 1 && snapshot.sleepers[0].dueIn > .seconds(60))
        #expect(snapshot.scheduledCalls.count == 1 && snapshot.scheduledCalls[0].dueIn > .seconds(30))
        #expect(snapshot.limits.count == 1 && snapshot.limits[0].dueIn > .seconds(120))
        #expect(snapshot.waits == 1)
        #expect(snapshot.tasks.map(\.name) == ["sleeper", "limited"])
        #expect(snapshot.offloadsRunning.map(\.label) == ["holder 1"])
        #expect(snapshot.offloadsQueued.map(\.label) == ["in line"])
        #expect((snapshot.offloadsRunning + snapshot.offloadsQueued).allSatisfy { $0.age > .zero })
        #expect(snapshot.foreignHandles == nil)
        let text = snapshot.description
        #expect(text.contains("runs: TimerHandle, for ") && text.contains("call \"in line\", for "), "\(text)")

        functions.release()
        await loop.run { _ in
          let (poll, timer, call) = close.take()
          poll.close()
          timer.close()
          call.cancel()
        }
        sleeper.cancel()
        limited.cancel()
        try await held.release()
        try await waiting.value
        await expectEventually {
          let now = await loop.snapshot()
          return now.handles.isEmpty && now.sleepers.isEmpty && now.limits.isEmpty && now.waits == 0
            && now.tasks.isEmpty
        }
      }
    }
  }

  @Test func `J-08 what the loop has taken in is counted while a scheduled call blocks it`() async throws {
    let functions = BlockingFunctions()
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      let (began, isPosted) = (Event("began"), Event("posted"))
      try await loop.run { loop in
        try loop.schedule(after: .milliseconds(1)) {
          _ = loop
          functions.waitsForACondition()
        }
        try loop.post {
          began.signal()
          isPosted.waitBlocking()
          spin(for: .milliseconds(2))
        }
      }
      try await began.wait()
      for _ in 0..<3 { try loop.post {} }
      isPosted.signal()
      try await functions.began.wait()
      #expect(try loop.snapshotFromOutside().queued == 3)
      #expect(loop.metrics.queued == 3)
    }
  }

  @Test func `J-08 snapshots from outside are whole while the loop changes everything at full speed`() async throws {
    try await withTestLoop { loop, _ in
      let isOver = Shared(false)
      let began = Event("the churn")
      let churn = loop.task(name: "churn") { loop in
        while !isOver.value {
          var (timers, calls): ([TimerHandle], [ScheduledCall]) = ([], [])
          for _ in 0..<8 { timers.append(try TimerHandle()) }
          for number in 0..<32 { calls.append(try loop.schedule(after: .seconds(60 + number % 3)) { _ = loop }) }
          for timer in timers { try timer.start(after: .seconds(60)) {} }
          for call in calls.shuffled() { call.cancel() }
          for timer in timers.shuffled() { timer.close() }
          let waiter = Task {
            try? await loop.withTimeout(.milliseconds(1)) { try await loop.sleep(for: .seconds(60)) }
          }
          try await loop.sleep(for: .zero)
          waiter.cancel()
          began.signal()
        }
      }
      try await began.wait()
      let readers = (0..<2).map { _ in
        Task {
          try await onPlainThread(within: .seconds(120)) {
            var seen = (handles: 0, calls: 0)
            let deadline = MonotonicClock.now(plus: .seconds(60))
            var looks = 0
            // On one CPU the loop may stand at the same point for all the looks of one slice of time.
            while looks < 1_500 || (seen.handles == 0 || seen.calls == 0) && MonotonicClock.now() < deadline {
              looks += 1
              let snapshot = try loop.snapshotFromOutside(timeout: .seconds(60))
              for handle in snapshot.handles {
                #expect(handle.kind == "TimerHandle" && handle.descriptor == nil)
                #expect((handle.dueIn != nil) == (handle.state == .active))
                if let dueIn = handle.dueIn { #expect(dueIn > .zero && dueIn < .seconds(90)) }
              }
              #expect(snapshot.scheduledCalls.count <= 32 && snapshot.handles.count <= 64)
              for wait in snapshot.scheduledCalls { #expect(wait.dueIn > .zero && wait.dueIn < .seconds(90)) }
              let dues = snapshot.scheduledCalls.map(\.dueIn)
              #expect(dues == dues.sorted())
              #expect(snapshot.tasks.map(\.name) == ["churn"])
              #expect(snapshot.tasks.allSatisfy { $0.age >= .zero })
              #expect(snapshot.running == nil)
              seen = (seen.handles + snapshot.handles.count, seen.calls + snapshot.scheduledCalls.count)
            }
            return seen
          }
        }
      }
      for reader in readers {
        let seen = try await reader.value
        #expect(seen.handles > 0 && seen.calls > 0)
      }
      isOver.value = true
      try await churn.value
    }
  }

  @Test func `J-08 the loop goes on while what was copied of it is sorted`() async throws {
    try await withTestLoop { loop, _ in
      let isOver = Shared(false)
      let (began, rounds) = (Event("the churn"), Counter())
      let churn = loop.task { loop in
        var calls: [ScheduledCall] = []
        for number in 0..<200_000 {
          calls.append(try loop.schedule(after: .seconds(60 + number * 7_919 % 97)) { _ = loop })
        }
        while !isOver.value {
          try loop.schedule(after: .seconds(60)) { _ = loop }.cancel()
          // To signal each time would take longer than the rest of the round.
          if rounds.add() == 1 { began.signal() }
        }
        for call in calls { call.cancel() }
      }
      try await began.wait()
      // A reader that loses its CPU before or after the loop was kept lets it do some thousands. The loop may lose its
      // own, and then the next time tells.
      let isKept = try await onPlainThread(within: .seconds(120)) {
        for _ in 0..<20 {
          let before = rounds.value
          let snapshot = try loop.snapshotFromOutside(timeout: .seconds(60))
          let during = rounds.value - before
          let dues = snapshot.scheduledCalls.map(\.dueIn)
          #expect(dues.count >= 200_000 && dues == dues.sorted())
          if during > 20_000 { return false }
        }
        return true
      }
      isOver.value = true
      try await churn.value
      #expect(!isKept)
    }
  }

  @Test func `J-08 ages are never less than zero, though tasks and offloaded calls come and go`() async throws {
    try await withTestLoop { loop, _ in
      let isOver = Shared(false)
      let began = Event("the churn")
      let churn = loop.task { loop in
        while !isOver.value {
          loop.task { _ in }
          try await loop.offload {}
          began.signal()
        }
      }
      try await began.wait()
      let least = try await onPlainThread(within: .seconds(120)) {
        var least = Duration.zero
        for _ in 0..<5_000 {
          let snapshot = try loop.snapshotFromOutside(timeout: .seconds(60))
          let pool = snapshot.pool
          let ages = snapshot.tasks.map(\.age) + (snapshot.offloadsQueued + snapshot.offloadsRunning).map(\.age)
          least = min(least, (ages + pool.jobs.map(\.age) + [pool.oldestQueued ?? .zero]).min() ?? .zero)
        }
        return least
      }
      #expect(least == .zero)
      isOver.value = true
      try await churn.value
    }
  }

  @Test func `J-08 the loop may look at itself from outside`() async throws {
    try await onTestLoop { loop, _ in
      let timer = try TimerHandle()
      #expect(try loop.snapshotFromOutside().handles.map(\.kind) == ["TimerHandle"])
      timer.close()
      #expect(try loop.snapshotFromOutside().handles.map(\.state) == [.closing])
    }
  }

  @Test func `a loop in the middle of a change is waited for until the timeout`() async throws {
    try await withTestLoop("changing") { loop, _ in
      let (inside, leave) = (Event("inside"), Event("leave"))
      try loop.post {
        loop.probe.whileChanging {
          inside.signal()
          leave.waitBlocking()
        }
      }
      defer { leave.signal() }
      try await inside.wait()
      do throws(UVError) {
        _ = try loop.snapshotFromOutside(timeout: .milliseconds(20))
        Issue.record("a loop in the middle of a change was read")
      } catch {
        #expect(error.code == .timedOut && error.call == "snapshotFromOutside")
        #expect(error.message.contains("\"changing\"") && error.message.contains("20 ms"))
      }
      leave.signal()
      let snapshot = try loop.snapshotFromOutside(timeout: .seconds(Int64.max))
      #expect(snapshot.handles.isEmpty)
    }
  }

  @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(-5)])
  func `a timeout of zero or less is refused`(_ timeout: Duration) async throws {
    try await withTestLoop { loop, _ in
      do throws(UVError) {
        _ = try loop.snapshotFromOutside(timeout: timeout)
        Issue.record("\(timeout) was not refused")
      } catch {
        #expect(error.code == .invalidArgument && error.call == "snapshotFromOutside")
        #expect(error.message.hasSuffix("it must be greater than zero."))
      }
      let snapshot = try loop.snapshotFromOutside(timeout: .seconds(20))
      #expect(snapshot.state == .running)
    }
  }
}
