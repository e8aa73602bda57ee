import Testing

@testable import UVLoop

@Suite(.alone) struct LoopShutdownTests {
  // MARK: G-01

  @Test func `G-01 three shutdowns in a row give the same report`() async throws {
    try await withTestLoop { loop, _ in
      let first = await loop.shutdown()
      let second = await loop.shutdown(within: .zero)
      let third = await loop.shutdown(within: .seconds(1))
      #expect(first.description == second.description)
      #expect(first.description == third.description)
      #expect(loop.state == .stopped)
    }
  }

  @Test func `G-01 after shutdown post throws loopClosed and releases its closure`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("post", 0)
      await loop.shutdown()
      let released = Event("the release of the captures")
      do throws(UVError) {
        let witness = ReleaseWitness(released)
        try loop.post {
          witness.touch()
          calls.mark("post")
        }
        Issue.record("post was accepted")
      } catch {
        #expect(error.code == .loopClosed)
      }
      try await released.wait()
    }
  }

  @Test func `G-01 after shutdown sleep throws loopClosed`() async throws {
    try await withTestLoop { loop, _ in
      await loop.shutdown()
      #expect(await codeOfError { try await loop.sleep(for: .zero) } == .loopClosed)
      #expect(await codeOfError { try await loop.sleep(for: .seconds(3_600)) } == .loopClosed)
    }
  }

  @Test func `G-01 after shutdown runBlocking throws loopClosed`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body", 0)
      await loop.shutdown()
      let code = await codeOfError {
        try await onPlainThread { try loop.runBlocking { _ in calls.mark("body") } }
      }
      #expect(code == .loopClosed)
    }
  }

  @Test func `G-01 after shutdown handles cannot be made`() async throws {
    try await withTestLoop { loop, _ in
      await loop.shutdown()
      let codes = await loop.run { loop in
        var codes: [UVError.Code?] = []
        do throws(UVError) { _ = try TimerHandle() } catch { codes.append(error.code) }
        do throws(UVError) { _ = try AsyncHandle {} } catch { codes.append(error.code) }
        do throws(UVError) { _ = try Promise<Int>() } catch { codes.append(error.code) }
        do throws(UVError) { try loop.schedule(after: .zero) {} } catch { codes.append(error.code) }
        do throws(UVError) { try loop.onShutdown {} } catch { codes.append(error.code) }
        return codes
      }
      #expect(codes == [.loopClosed, .loopClosed, .loopClosed, .loopClosed, .loopClosed])
    }
  }

  @Test func `G-01 after shutdown send is false`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("callback", 0)
      let sender = try await loop.run { loop in
        let handle = try AsyncHandle { calls.mark("callback") }
        try loop.onShutdown { withExtendedLifetime(handle) {} }
        return handle.sender
      }
      await loop.shutdown()
      #expect(!sender.send())
    }
  }

  @Test func `G-01 after shutdown ticks and withTimeout throw loopClosed`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body", 0)
      await loop.shutdown()
      let ticks = await codeOfError { for try await _ in try loop.ticks(every: .seconds(1)) {} }
      let timeout = await codeOfError { try await loop.withTimeout(.seconds(1)) { calls.mark("body") } }
      #expect(ticks == .loopClosed)
      #expect(timeout == .loopClosed)
    }
  }

  // MARK: G-02, G-03, G-10

  @Test func `G-02 a sleeper of one hour gets loopClosed and does not delay the shutdown`() async throws {
    try await withTestLoop { loop, _ in
      let sleeper = Task { try await loop.sleep(for: .seconds(3_600)) }
      #expect(await eventually { await loop.run { $0.probe.timers } == 1 })
      let report = await loop.shutdown()
      #expect(report.duration < .seconds(1))
      #expect(await codeOfError { try await sleeper.value } == .loopClosed)
    }
  }

  @Test func `G-03 scheduled calls that are not due are dropped, released and counted`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("scheduled", 0)
      let released = Event("the release of the captures")
      try await loop.run { loop in
        for delay in [Duration.seconds(60), .seconds(3_600), .seconds(Int64.max)] {
          let witness = ReleaseWitness(released)
          try loop.schedule(after: delay) {
            witness.touch()
            calls.mark("scheduled")
          }
        }
      }
      #expect(!released.hasHappened)
      let report = await loop.shutdown()
      #expect(report.droppedCalls == 3)
      try await released.wait(times: 3)
    }
  }

  @Test func `G-03 a dropped call is pending no more and cannot be rescheduled`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("scheduled", 0)
      let call = try loop.schedule(after: .seconds(3_600)) { calls.mark("scheduled") }
      await loop.shutdown()
      #expect(!call.isPending)
      #expect(!call.reschedule(after: .zero))
      call.cancel()
    }
  }

  @Test func `G-10 after a clean end the report lists nothing`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body", 3)
      try await loop.run { loop in
        try await loop.sleep(for: .milliseconds(1))
        try loop.schedule(after: .zero) { calls.mark("body") }
        let timer = try TimerHandle()
        try timer.start(after: .zero) { calls.mark("body") }
        try await loop.offload { calls.mark("body") }
        #expect(await eventually { calls.count("body") == 3 })
      }
      try await loop.task { loop in try await loop.sleep(for: .zero) }.value
      let report = await loop.shutdown()
      #expect(report.unfinished.isEmpty)
      #expect(report.foreignHandles.isEmpty)
      #expect(report.droppedCalls == 0)
      #expect(report.description.hasSuffix("nothing left behind"))
    }
  }

  // MARK: G-05, G-06

  @Test func `G-05 shutdownBlocking on the loop's own thread throws wouldDeadlock and stops nothing`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("later")
      let error = Shared<UVError?>(nil)
      let asked = Event("the call")
      try loop.post {
        do throws(UVError) { try loop.shutdownBlocking() } catch let thrown { error.value = thrown }
        asked.signal()
      }
      try await asked.wait()
      #expect(error.value?.code == .wouldDeadlock)
      #expect(error.value?.message.contains("await loop.shutdown()") == true)
      #expect(loop.state == .running)
      await loop.run { _ in calls.mark("later") }
    }
  }

  @Test func `G-05 shutdownBlocking on another loop's thread throws wouldDeadlock and stops neither`() async throws {
    try await withTestLoop("target") { loop, _ in
      try await withTestLoop("caller") { caller, _ in
        let error = Shared<UVError?>(nil)
        let asked = Event("the call")
        try caller.post {
          do throws(UVError) { try loop.shutdownBlocking(within: .zero) } catch let thrown { error.value = thrown }
          asked.signal()
        }
        try await asked.wait()
        #expect(error.value?.code == .wouldDeadlock)
        #expect(error.value?.message.contains("target") == true)
        #expect(error.value?.message.contains("caller") == true)
        #expect(loop.state == .running)
        #expect(caller.state == .running)
      }
    }
  }

  @Test func `G-05 shutdownBlocking on a plain thread ends the loop and returns its report`() async throws {
    try await withTestLoop { loop, _ in
      let report = try await onPlainThread { try loop.shutdownBlocking() }
      #expect(loop.state == .stopped)
      #expect(report.unfinished.isEmpty)
    }
  }

  @Test func `G-06 a body on the loop that awaits its shutdown goes on after the end, off its thread`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("after")
      await loop.run { loop in
        #expect(loop.isCurrent)
        await loop.shutdown()
        #expect(loop.state == .stopped)
        #expect(!loop.isCurrent)
        #expect(EventLoop.current == nil)
        calls.mark("after")
      }
    }
  }

  @Test func `G-06 a LoopActor that awaits the shutdown of its loop goes on after it`() async throws {
    actor Closer: LoopActor {
      nonisolated let loop: EventLoop
      init(_ loop: EventLoop) { self.loop = loop }
      func end() async -> EventLoop.State {
        await loop.shutdown()
        return loop.state
      }
    }
    try await withTestLoop { loop, _ in
      #expect(await Closer(loop).end() == .stopped)
    }
  }

  // MARK: G-17

  // In processes of their own: what spins takes a CPU from all tests that run beside it.

  @Test func `G-17 a closure that posts itself for ever does not keep the loop from ending`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let rounds = Counter()
        let refused = Event("the refusal")
        @Sendable func again() {
          rounds.add()
          do throws(UVError) { try loop.post { again() } } catch { refused.signal() }
        }
        try loop.post { again() }
        #expect(await eventually { rounds.value > 1_000 })
        await loop.shutdown()
        try await refused.wait()
      }
    }
  }

  @Test func `G-17 a task that hops to the loop for ever does not keep it from ending`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let rounds = Counter()
        let task = Task {
          while !Task.isCancelled { await loop.run { _ in _ = rounds.add() } }
        }
        #expect(await eventually { rounds.value > 100 })
        await loop.shutdown()
        // It goes on, off the loop, as tasks of others do.
        let atTheEnd = rounds.value
        #expect(await eventually { rounds.value > atTheEnd })
        task.cancel()
        await task.value
      }
    }
  }
}
