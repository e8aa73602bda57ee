import Testing

@testable import UVLoop

@Suite(.alone) struct SchedulingTests {
  @Test func `D-01 of three calls for the same moment the second is cancelled: the others run, in order`() async throws
  {
    try await onTestLoop { loop, calls in
      let moment = loop.clock.now.advanced(by: .milliseconds(5))
      let done = try Promise<Void>()
      try loop.schedule(at: moment) { calls.mark("first") }
      let second = try loop.schedule(at: moment) { calls.mark("second") }
      try loop.schedule(at: moment) {
        calls.mark("third")
        done.resume(returning: ())
      }
      second.cancel()
      try await done.value()
      #expect(calls.log == ["first", "third"])
    }
  }

  @Test func `D-02 a closure posted by a posted closure runs after everything queued before it`() async throws {
    try await onTestLoop { loop, calls in
      let done = try Promise<Void>()
      try loop.post {
        calls.mark("first")
        do { try loop.post { calls.mark("nested") } } catch { Issue.record(error) }
      }
      try loop.post { calls.mark("second") }
      try loop.post {
        calls.mark("third")
        do { try loop.post { calls.mark("end") } } catch { Issue.record(error) }
      }
      try loop.schedule(after: .milliseconds(5)) { done.resume(returning: ()) }
      try await done.value()
      #expect(calls.log == ["first", "second", "third", "nested", "end"])
    }
  }

  /// Posts itself again until `end`; `look` is called each time.
  private static func repost(
    on loop: isolated EventLoop, until end: EventLoop.Clock.Instant, _ look: @escaping @Sendable () -> Void
  ) throws(UVError) {
    look()
    if loop.clock.now >= end { return }
    try loop.post { loop in
      do { try repost(on: loop, until: end, look) } catch { Issue.record(error) }
    }
  }

  @Test func `D-03 a closure that reposts itself for 1 s does not starve a 10 ms tick`() async throws {
    try await onTestLoop { loop, calls in
      var ticks = try loop.ticks(every: .milliseconds(10), missed: .burst).makeAsyncIterator()
      let lateness = OwnLateness(loop.clock, period: .milliseconds(10))
      let reposts = Counter()
      try Self.repost(on: loop, until: loop.clock.now.advanced(by: .seconds(1))) {
        reposts.add()
        lateness.look()
      }
      var latest = Duration.zero
      for _ in 0..<100 {
        let tick = try #require(try await ticks.next(isolation: loop))
        latest = max(latest, lateness.arrived(tick))
      }
      // Wide: a virtual machine that stands still is charged to whoever runs.
      #expect(latest < .milliseconds(200))
      #expect(reposts.value > 1_000)
    }
  }

  @Test func `D-03 a closure that reposts itself for 1 s does not starve a send`() async throws {
    try await onTestLoop { loop, calls in
      let (reposts, answered) = (Counter(), Event("an answer to a send"))
      let wake = try AsyncHandle { answered.signal() }
      let sender = wake.sender
      let end = loop.clock.now.advanced(by: .seconds(1))
      try Self.repost(on: loop, until: end) { reposts.add() }
      let clock = loop.clock
      let slowest = try await onPlainThread {
        var slowest = Duration.zero
        var sends = 0
        while clock.now < end {
          let before = clock.now
          sender.send()
          sends += 1
          answered.waitBlocking(times: sends)
          slowest = max(slowest, before.duration(to: clock.now))
        }
        return slowest
      }
      #expect(slowest < .milliseconds(500))
      #expect(reposts.value > 1_000)
      wake.close()
    }
  }

  /// A post that is made by the one before.
  private static func chain(on loop: isolated EventLoop, _ left: Int, _ end: Event) throws(UVError) {
    if left == 0 {
      end.signal()
      return
    }
    try loop.post { loop in
      do { try chain(on: loop, left - 1, end) } catch { Issue.record(error) }
    }
  }

  @Test func `D-04 a chain of 1 000 posts costs fewer than 100 polls`() async throws {
    try await onTestLoop { loop, calls in
      let end = Event("the end of the chain")
      let iterations = try await loop.probe.iterations {
        try Self.chain(on: loop, 1_000, end)
        try await end.wait()
      }
      #expect(iterations < 100)
    }
  }

  @Test func `D-10 jobs run in the order of their arrival, whatever the priorities of their tasks`() async throws {
    try await withTestLoop { loop, calls in
      let (blocked, go) = (Event("the loop is blocked"), Event("permission"))
      try loop.post {
        blocked.signal()
        go.waitBlocking()
      }
      try await blocked.wait()
      let priorities: [TaskPriority] = [.background, .high, .low, .userInitiated, .utility, .medium]
      let order = Shared<[Int]>([])
      let tasks = (0..<60).map { index in
        loop.task(priority: priorities[index % 6]) { _ in order.update { $0.append(index) } }
      }
      go.signal()
      for task in tasks { await task.value }
      #expect(order.value == Array(0..<60))
    }
  }

  @Test func `D-11 after a block of 200 ms each due call fires once, by deadline, and all posts run`() async throws {
    try await onTestLoop { loop, calls in
      let order = Shared<[Int]>([])
      for delay in [50, 10, 100, 30, 150, 10] {
        try loop.schedule(after: .milliseconds(delay)) { order.update { $0.append(delay) } }
      }
      let posted = Event("posts")
      PlainThread {
        for _ in 0..<1_000 {
          do { try loop.post { calls.mark("post") } } catch { Issue.record(error) }
        }
        posted.signal()
      }
      calls.expect("post", 1_000)
      spin(for: .milliseconds(200))
      posted.waitBlocking()
      let done = try Promise<Void>()
      try loop.schedule(after: .milliseconds(20)) { done.resume(returning: ()) }
      try await done.value()
      #expect(order.value == [10, 10, 30, 50, 100, 150])
      #expect(calls.count("post") == 1_000)
    }
  }

  @Test func `D-12 shutdown right after init: what was posted before runs, and the loop stops, 1 000 times`()
    async throws
  {
    let ran = Counter()
    for _ in 0..<1_000 {
      let loop = try EventLoop(.init(name: "short"))
      try loop.post { ran.add() }
      let report = await loop.shutdown()
      #expect(loop.state == .stopped)
      #expect(report.unfinished.isEmpty && report.foreignHandles.isEmpty)
    }
    #expect(ran.value == 1_000)
  }

  @Test func `D-13 work accepted before shutdown runs before it returns, and can post no more`() async throws {
    try await withTestLoop { loop, calls in
      let (blocked, go) = (Event("the loop is blocked"), Event("permission"))
      let code = Shared<UVError.Code?>(nil)
      try loop.post {
        blocked.signal()
        go.waitBlocking()
      }
      try await blocked.wait()
      try loop.post {
        calls.mark("accepted")
        do throws(UVError) { try loop.post { calls.mark("late") } } catch { code.value = error.code }
      }
      let shutdown = Task.detached { await loop.shutdown() }
      await expectEventually { loop.state == .stopping }
      let fromOutside = try errorCode { try loop.post { calls.mark("late") } }
      go.signal()
      _ = await shutdown.value
      #expect(calls.log == ["accepted"])
      #expect(code.value == .loopClosed)
      #expect(fromOutside == .loopClosed)
    }
  }

  @Test func `D-14 the state goes running, stopping, stopped, and never back`() async throws {
    await #expect(processExitsWith: .success) {
      let core = try await withTestLoop { loop, calls in
        let seen = Shared<[EventLoop.State]>([])
        let (watching, isOver) = (Event("the first look"), Shared(false))
        let look: @Sendable () -> Void = {
          let state = loop.state
          seen.update { if $0.last != state { $0.append(state) } }
          watching.signal()
        }
        let watcher = PlainThread { while !isOver.value { look() } }
        try await watching.wait()
        await loop.run { loop in
          do { try loop.onShutdown { look() } } catch { Issue.record(error) }
        }
        await loop.shutdown()
        look()
        await loop.shutdown(within: .zero)
        try? loop.post {}
        _ = loop.task { _ in }
        look()
        isOver.value = true
        try await watcher.join()
        // The hook and the watcher look at once, so that one may tell late what it saw.
        #expect(Set(seen.value) == [.running, .stopping, .stopped])
        #expect(seen.value.first == .running)
        #expect(loop.state == .stopped)
        return WeakCore(of: loop)
      }
      // The task that came late may still be letting go of the loop, and the process would end in the middle of that.
      await expectEventually { core.isFreed }
    }
  }
}
