import CLibUV
import Testing

@testable import UVLoop

/// What is on a loop, as the loop itself tells.
@Suite(.alone) struct LoopSnapshotTests {
  typealias Handle = LoopSnapshot.Handle

  @Test func `J-08 a fresh loop has nothing on it, and says so`() async throws {
    try await withTestLoop("fresh") { loop, _ in
      let snapshot = await loop.snapshot()
      #expect(snapshot.loop == "fresh" && snapshot.state == .running && snapshot.running == nil)
      #expect(snapshot.thread.kernelID == loop.thread.kernelID && snapshot.thread.id == loop.thread.id)
      #expect(snapshot.handles.isEmpty && snapshot.sleepers.isEmpty && snapshot.scheduledCalls.isEmpty)
      #expect(snapshot.limits.isEmpty && snapshot.waits == 0 && snapshot.tasks.isEmpty && snapshot.queued == 0)
      #expect(snapshot.offloadsQueued.isEmpty && snapshot.offloadsRunning.isEmpty)
      #expect(snapshot.foreignHandles == [])
      let description = snapshot.description
      #expect(description.hasPrefix("loop \"fresh\" is running, on "), "\(description)")
      #expect(description.hasSuffix("\nnothing keeps it busy"), "\(description)")
    }
  }

  @Test func `J-08 open handles are listed with kind, state and due time, and a closed one is gone`() async throws {
    try await onTestLoop { loop, _ in
      func sorted(_ handles: [Handle]) -> [Handle] { handles.sorted { $0.kind < $1.kind } }
      let pair = SocketPair()
      let timer = try TimerHandle()
      let poll = try PollHandle(descriptor: pair.watched)
      let async = try AsyncHandle {}
      #expect(sorted(loop.snapshot().handles).map(\.state) == [.active, .inactive, .inactive])
      try timer.start(after: .seconds(60)) {}
      try poll.start(for: .readable) { _ in }

      let open = sorted(loop.snapshot().handles)
      #expect(open.map(\.kind) == ["AsyncHandle", "PollHandle", "TimerHandle"])
      #expect(open.map(\.state) == [.active, .active, .active])
      #expect(open.map(\.descriptor) == [nil, pair.watched, nil])
      #expect(open.allSatisfy { $0.isReferenced && $0.site == nil })
      let dueIn = try #require(open[2].dueIn)
      #expect(dueIn > .seconds(30) && dueIn <= .milliseconds(60_001))
      #expect(open[0].dueIn == nil && open[1].dueIn == nil)

      timer.stop()
      #expect(sorted(loop.snapshot().handles)[2].state == .inactive)
      #expect(sorted(loop.snapshot().handles)[2].dueIn == nil)
      timer.close()
      let closing = try #require(sorted(loop.snapshot().handles).last)
      #expect(closing.kind == "TimerHandle" && closing.state == .closing && closing.dueIn == nil)
      try await iterate(loop)
      #expect(sorted(loop.snapshot().handles).map(\.kind) == ["AsyncHandle", "PollHandle"])
      poll.close()
      async.close()
      try await iterate(loop)
      #expect(loop.snapshot().handles.isEmpty)
    }
  }

  @Test func `J-08 what waits for its time is listed by kind, the next one first`() async throws {
    try await onTestLoop { loop, _ in
      let calls = try [50, 10, 30].map { seconds in try loop.schedule(after: .seconds(seconds)) { _ = loop } }
      let sleeper = Task { try await loop.sleep(for: .seconds(100)) }
      let limited = Task { try await loop.withTimeout(.seconds(200)) { try await loop.sleep(for: .seconds(300)) } }
      await expectEventually { loop.probe.timers == 6 }
      let snapshot = loop.snapshot()
      func seconds(_ waits: [LoopSnapshot.Wait]) -> [Int64] {
        waits.map { ($0.dueIn + .seconds(5)).components.seconds / 10 }
      }
      #expect(seconds(snapshot.scheduledCalls) == [1, 3, 5])
      #expect(seconds(snapshot.sleepers) == [10, 30] && seconds(snapshot.limits) == [20])
      #expect(snapshot.scheduledCalls.allSatisfy { $0.site == nil })
      let description = snapshot.description
      #expect(description.contains("scheduled calls: 3 (due in "), "\(description)")
      #expect(description.contains("sleeping tasks: 2 (") && description.contains("time limits: 1 ("), "\(description)")
      for call in calls { call.cancel() }
      sleeper.cancel()
      limited.cancel()
      await expectEventually { loop.probe.timers == 0 }
      let after = loop.snapshot()
      #expect(after.scheduledCalls.isEmpty && after.sleepers.isEmpty && after.limits.isEmpty)
    }
  }

  @Test func `J-08 a call that is late is due in less than zero`() async throws {
    try await onTestLoop { loop, _ in
      try loop.schedule(after: .milliseconds(1)) { _ = loop }
      spin(for: .milliseconds(20))
      let dueIn = try #require(loop.snapshot().scheduledCalls.first?.dueIn)
      #expect(dueIn <= .milliseconds(-19) && dueIn > .seconds(-60))
    }
  }

  @Test func `J-08 the loop's tasks are listed by name, the oldest first`() async throws {
    try await onTestLoop { loop, _ in
      let tasks = ["reader", nil, "writer"].map { name in
        loop.task(name: name) { loop in
          let promise = try Promise<Void>()
          try await promise.value()
        }
      }
      await expectEventually { loop.snapshot().waits == 3 }
      let snapshot = loop.snapshot()
      #expect(snapshot.waitKinds == ["promise": 3])
      #expect(snapshot.tasks.map(\.name) == ["reader", nil, "writer"])
      #expect(snapshot.tasks.allSatisfy { $0.age >= .zero && $0.age < .seconds(60) })
      #expect(snapshot.description.contains("tasks: 3 (task \"reader\", "), "\(snapshot)")
      #expect(snapshot.description.contains("other waits: 3 (3 promise)"), "\(snapshot)")
      for task in tasks { task.cancel() }
      for task in tasks { try await expectCancelled { try await task.value } }
      #expect(loop.snapshot().tasks.isEmpty && loop.snapshot().waits == 0)
    }
  }

  @Test func `J-08 of many things the first five are described`() async throws {
    try await onTestLoop { loop, _ in
      let calls = try (1...20).map { _ in try loop.schedule(after: .seconds(60)) { _ = loop } }
      #expect(loop.snapshot().description.contains("scheduled calls: 20 ("))
      #expect(loop.snapshot().description.contains("; and 15 more)"))
      for call in calls { call.cancel() }
    }
  }

  @Test func `J-08 what runs is told while somebody wants to know`() async throws {
    try await onTestLoop { loop, _ in
      #expect(loop.snapshot().running == nil)
      try loop.reportSlowCalls(over: .seconds(3_600)) { _ in }
      let found = try await loop.task(name: "asking") { loop in
        try await loop.sleep(for: .zero)
        return loop.snapshot().running
      }.value
      let running = try #require(found)
      #expect(running.kind == .task && running.label == "asking" && running.age >= .zero)
      loop.stopReportingSlowCalls()
      try await iterate(loop)
      #expect(loop.snapshot().running == nil)
    }
  }

  // MARK: J-09

  @Test func `J-09 a handle of C code is listed as foreign, and not touched`() async throws {
    try await onTestLoop { loop, _ in
      let neighbour = NeighbourTests.Neighbour()
      #expect(unsafe loop.withUnsafeLoop { unsafe neighbour.attach(to: $0) } == 0)
      let timer = try TimerHandle()
      let snapshot = loop.snapshot()
      #expect(snapshot.foreignHandles == [.init(kind: "timer", address: neighbour.address)])
      #expect(snapshot.handles.map(\.kind) == ["TimerHandle"])
      let place = "0x\(String(neighbour.address, radix: 16))"
      #expect(snapshot.description.contains("handles of C code: 1 (timer at \(place))"), "\(snapshot)")
      #expect(neighbour.isActive && !neighbour.isClosing)
      // Libuv's list cannot be read from outside.
      #expect(try loop.snapshotFromOutside().foreignHandles == nil)
      neighbour.close()
      timer.close()
      try await iterate(loop)
      #expect(loop.snapshot().foreignHandles == [])
    }
  }

  @Test func `J-12 handles of C code are told apart by address and state`() async throws {
    try await onTestLoop { loop, _ in
      let neighbours = (0..<3).map { _ in NeighbourTests.Neighbour() }
      for neighbour in neighbours { #expect(unsafe loop.withUnsafeLoop { unsafe neighbour.attach(to: $0) } == 0) }
      neighbours[1].unreference()
      neighbours[2].stop()
      func found(_ index: Int, on loop: isolated EventLoop) throws -> ShutdownReport.ForeignHandle {
        let handles = loop.snapshot().foreignHandles ?? []
        return try #require(handles.first { $0.address == neighbours[index].address })
      }
      let first = try found(0, on: loop)
      #expect(first.kind == "timer" && first.isActive && first.isReferenced && !first.isClosing)
      let second = try found(1, on: loop)
      #expect(second.isActive && !second.isReferenced)
      #expect(second.particulars.hasSuffix(", not referenced"))
      let third = try found(2, on: loop)
      #expect(!third.isActive && third.isReferenced)
      #expect(third.particulars.hasSuffix(", inactive"))
      for neighbour in neighbours { neighbour.close() }
      let closing = try found(0, on: loop)
      #expect(closing.isClosing && !closing.isActive)
      #expect(closing.particulars.hasSuffix(", closing"))
      try await iterate(loop)
      #expect(loop.snapshot().foreignHandles == [])
    }
  }

  @Test func `J-12 requests of C code are counted, and the library's own are not`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(2)
      try await withTestLoop { loop, _ in
        #expect(await loop.snapshot().foreignRequests == 0)
        let held = try await HeldWorkers(2, on: loop)
        #expect(await loop.snapshot().foreignRequests == 0)
        let requests = await loop.run { loop in
          unsafe loop.withUnsafeLoop { loop in (0..<3).map { _ in unsafe LoopSnapshotTests.askPool(of: loop) } }
        }
        #expect(requests == [0, 0, 0])
        let snapshot = await loop.snapshot()
        #expect(snapshot.foreignRequests == 3 && snapshot.foreignHandles == [])
        #expect(snapshot.description.contains("requests of C code: 3"), "\(snapshot)")
        #expect(try loop.snapshotFromOutside().foreignRequests == nil)
        try await held.release()
        await expectEventually { await loop.snapshot().foreignRequests == 0 }
        await loop.shutdown()
        #expect(await loop.snapshot().foreignRequests == 0)
      }
    }
  }

  /// What C code does that has something to compute.
  private static func askPool(of loop: UnsafeMutableRawPointer) -> Int32 {
    let request = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)
    return unsafe uv_queue_work(loop.assumingMemoryBound(to: uv_loop_t.self), request, { _ in }) { request, _ in
      unsafe request?.deallocate()
    }
  }

  @Test func `J-09 a handle of C code that keeps a loop from ending is still listed`() async throws {
    let loop = try EventLoop(.init(name: "lender"))
    let neighbour = NeighbourTests.Neighbour()
    let status = await loop.run { loop in unsafe loop.withUnsafeLoop { unsafe neighbour.attach(to: $0) } }
    #expect(status == 0)
    await loop.shutdown()
    let snapshot = await loop.snapshot()
    #expect(snapshot.state == .stopped)
    #expect(snapshot.foreignHandles == [.init(kind: "timer", address: neighbour.address)])
    #expect(try loop.snapshotFromOutside().foreignHandles == nil)
    await loop.run { loop in unsafe loop.withUnsafeLoop { _ in neighbour.close() } }
    await expectThreadGone(loop.thread)
    #expect(await loop.snapshot().foreignHandles == [])
  }

  // MARK: J-10

  @Test func `J-10 the pool's part says how long the oldest call has waited`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await withTestLoop { loop, _ in
        #expect(await loop.snapshot().pool.oldestQueued == nil)
        let held = try await HeldWorkers(1, on: loop)
        let calls = ["first", "second"].map { label in Task { try await loop.offload(label: label) {} } }
        await expectEventually { ThreadPool.statistics.queued == 2 }
        let early = try #require(await loop.snapshot().pool.oldestQueued)
        await expectEventually { (ThreadPool.statistics.oldestQueued ?? .zero) > early + .milliseconds(20) }
        let snapshot = await loop.snapshot()
        let oldest = try #require(snapshot.pool.oldestQueued)
        #expect(snapshot.pool.queued == 2 && snapshot.pool.running == 1)
        #expect(snapshot.pool.jobs.map(\.label) == ["holder 1"])
        #expect(oldest >= early + .milliseconds(20) && oldest < .seconds(60))
        // Which is read a moment earlier.
        let ages = snapshot.offloadsQueued.map(\.age)
        #expect(ages.count == 2 && ages[0] >= early + .milliseconds(20) && ages[0] <= oldest)
        try await held.release()
        for call in calls { try await call.value }
        #expect(await loop.snapshot().pool.oldestQueued == nil)
      }
    }
  }
}
