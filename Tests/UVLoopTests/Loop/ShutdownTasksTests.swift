import Testing

@testable import UVLoop

/// Who is awaited by a shutdown, and who asked for it.
@Suite(.alone) struct ShutdownTasksTests {
  // MARK: G-21

  @Test func `G-21 shutdown cancels the loop's tasks and waits for them`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("ended", 3)
      let begun = Event("the begin of a task")
      for _ in 0..<3 {
        loop.task { loop in
          begun.signal()
          try? await loop.sleep(for: .seconds(3_600))
          // What a task does after its cancellation is awaited too.
          await loop.run { _ in }
          if Task.isCancelled { calls.mark("ended") }
        }
      }
      try await begun.wait(times: 3)
      // Behind the parts of the tasks that signal: now they sleep.
      await loop.run { _ in }
      let report = await loop.shutdown()
      #expect(calls.count("ended") == 3)
      #expect(report.unfinished.isEmpty)
    }
  }

  @Test func `G-21 a task that awaits somebody who sleeps on the loop does not hold the shutdown`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("ended")
      let begun = Event("the begin of the inner task")
      loop.task { loop in
        let inner = Task {
          begun.signal()
          try await loop.sleep(for: .seconds(3_600))
        }
        // Awaiting a task's result cannot be cancelled.
        guard case .failure(let error) = await inner.result else { return }
        if (error as? UVError)?.code == .loopClosed { calls.mark("ended") }
      }
      try await begun.wait()
      let report = await loop.shutdown()
      #expect(report.unfinished.isEmpty)
    }
  }

  @Test func `G-21 a task that ignores its cancellation is named in the report once the time is over`() async throws {
    let loop = try EventLoop()
    let begun = Event("the begin of the task")
    let go = Event("the task may end")
    let task = loop.task(name: "stubborn") { _ in
      begun.signal()
      try await go.wait()
    }
    try await begun.wait()
    let start = MonotonicClock.now()
    let report = await loop.shutdown(within: .milliseconds(50))
    #expect(Duration.nanoseconds(MonotonicClock.now() - start) >= .milliseconds(50))
    #expect(report.unfinished.map(\.kind) == [.task])
    #expect(report.unfinished.map(\.label) == ["stubborn"])
    #expect(report.unfinished.allSatisfy { $0.age >= .milliseconds(50) })
    go.signal()
    try await task.value
    await expectThreadGone(loop.thread)
  }

  @Test func `G-21 a task that awaits the shutdown of its loop is not awaited by it`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("after")
      let task = loop.task { loop in
        let report = await loop.shutdown()
        calls.mark("after")
        return report
      }
      let report = await task.value
      #expect(report.unfinished.isEmpty)
      #expect(loop.state == .stopped)
    }
  }

  @Test func `G-21 a task whose child task asks is not awaited either`() async throws {
    try await withTestLoop { loop, _ in
      let report = await loop.task { loop in
        async let report = loop.shutdown()
        return await report
      }.value
      #expect(report.unfinished.isEmpty)
    }
  }

  @Test func `G-21 a task that asks does not exempt the others`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("ended")
      let begun = Event("the begin of the other task")
      loop.task { loop in
        begun.signal()
        try? await loop.sleep(for: .seconds(3_600))
        calls.mark("ended")
      }
      try await begun.wait()
      let ended = await loop.task { loop in
        await loop.shutdown()
        return calls.count("ended")
      }.value
      #expect(ended == 1)
    }
  }

  @Test func `G-21 a task that awaits the shutdown of another loop is awaited by its own`() async throws {
    try await withTestLoop("other") { other, _ in
      try await withTestLoop("own") { own, calls in
        calls.expect("ended")
        let begun = Event("the begin of the task")
        own.task { loop in
          await other.shutdown()
          begun.signal()
          try? await loop.sleep(for: .seconds(3_600))
          await loop.run { _ in }
          calls.mark("ended")
        }
        try await begun.wait()
        await own.shutdown()
        #expect(calls.count("ended") == 1)
      }
    }
  }

  // MARK: Asked for from elsewhere

  @Test func `G-06 shutdownBlocking in an offloaded call does not wait for that call`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("after")
      let report = try await loop.offload {
        let report = try loop.shutdownBlocking()
        calls.mark("after")
        return report
      }
      #expect(report.unfinished.isEmpty)
      #expect(loop.state == .stopped)
    }
  }

  @Test func `G-06 shutdownBlocking in an offloaded call waits for the other calls`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        calls.expect("other")
        let begun = Event("the begin of the other call")
        let go = Event("the other call may end")
        let other = Task {
          try await loop.offload {
            begun.signal()
            go.waitBlocking()
            calls.mark("other")
          }
        }
        try await begun.wait()
        let initiator = Task {
          try await loop.offload { () -> Int in
            try loop.shutdownBlocking()
            return calls.count("other")
          }
        }
        let isStopping = await eventually { loop.state == .stopping }
        #expect(isStopping)
        go.signal()
        let seen = try await initiator.value
        #expect(seen == 1)
        try await other.value
      }
    }
  }

  @Test func `G-06 an offloaded call that shuts another loop down is awaited by its own`() async throws {
    try await withTestLoop("other") { other, _ in
      try await withTestLoop("own") { own, calls in
        calls.expect("ended")
        let begun = Event("the end of the other loop")
        let go = Event("the call may end")
        let call = Task {
          try await own.offload {
            try other.shutdownBlocking()
            begun.signal()
            go.waitBlocking()
            calls.mark("ended")
          }
        }
        try await begun.wait()
        let end = Task { () -> Int in
          await own.shutdown()
          return calls.count("ended")
        }
        #expect(await eventually { own.state != .running })
        // A clean round trip of the loop: it would have ended by now if it did not wait.
        let probe = own.probe
        let iterated = Event("an iteration of the stopping loop")
        probe.enqueue { probe.enqueue { probe.enqueue { iterated.signal() } } }
        try await iterated.wait()
        #expect(own.state == .stopping)
        go.signal()
        #expect(await end.value == 1)
        try await call.value
      }
    }
  }

  @Test func `G-06 a runBlocking body that awaits the shutdown gets its report, and so does its thread`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("after")
      let report = try await onPlainThread {
        try loop.runBlocking { loop in
          let report = await loop.shutdown()
          calls.mark("after")
          return report
        }
      }
      #expect(report.unfinished.isEmpty)
      #expect(loop.state == .stopped)
    }
  }

  @Test func `G-06 a runBlocking body of an offloaded call that awaits the shutdown does not wait for that call`()
    async throws
  {
    try await withTestLoop { loop, _ in
      let report = try await loop.offload { try loop.runBlocking { loop in await loop.shutdown() } }
      #expect(report.unfinished.isEmpty)
      #expect(loop.state == .stopped)
    }
  }

  @Test func `G-06 a loop task whose offloaded call shuts the loop down is waited for by nobody`() async throws {
    try await withTestLoop { loop, _ in
      let report = try await loop.task { loop in
        let host = loop as EventLoop
        return try await loop.offload { try host.shutdownBlocking() }
      }.value
      #expect(report.unfinished.isEmpty)
      #expect(loop.state == .stopped)
    }
  }

  @Test func `G-06 an onShutdown body and a posted closure may ask again`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("report", 2)
      try await loop.run { loop in
        _ = try loop.onShutdown {
          Task {
            await loop.shutdown()
            calls.mark("report")
          }
        }
      }
      try loop.post {
        Task {
          await loop.shutdown()
          calls.mark("report")
        }
      }
      #expect(await eventually { calls.count("report") == 2 })
    }
  }
}
