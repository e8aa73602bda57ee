import CLibUV
import Testing

@testable import UVLoop

/// What a loop counts and measures.
@Suite(.alone) struct LoopMetricsTests {
  // MARK: J-04

  @Test func `J-04 an idle loop's utilisation is below 5 %`() async throws {
    let share = try await undisturbed(below: .milliseconds(20)) {
      try await withTestLoop(metrics: true) { loop, _ in
        await loop.run { _ in }
        let before = loop.metrics
        try await Task.sleep(for: .milliseconds(400))
        return loop.metrics.utilisation(since: before)
      }
    }
    #expect(try #require(share) < 0.05)
  }

  @Test func `J-04 a loop that computes has a utilisation above 95 %, as seen from any thread`() async throws {
    try await withTestLoop(metrics: true) { loop, _ in
      let (began, isOver) = (Event("began"), Shared(false))
      try loop.post {
        began.signal()
        while !isOver.value {}
      }
      defer { isOver.value = true }
      try await began.wait()
      let before = loop.metrics
      await expectEventually { loop.metrics.elapsed - before.elapsed > .milliseconds(100) }
      let share = try await onPlainThread { loop.metrics.utilisation(since: before) }
      #expect(try #require(share) > 0.95)
      #expect(loop.metrics.busy ?? .zero >= .milliseconds(100))
    }
  }

  @Test func `J-04 a loop that is never out of short calls has a utilisation above 95 %`() async throws {
    let share = try await undisturbed(below: .milliseconds(20)) {
      try await onTestLoop(metrics: true) { loop, _ in
        let before = loop.metrics
        for _ in 0..<3_000 {
          try await loop.sleep(for: .zero)
          spin(for: .microseconds(100))
        }
        return loop.metrics.utilisation(since: before)
      }
    }
    #expect(try #require(share) > 0.95)
  }

  @Test func `without the option there are counts, and no times`() async throws {
    try await onTestLoop { loop, _ in
      try await loop.offload {}
      let metrics = loop.metrics
      #expect(metrics.idle == nil && metrics.busy == nil && metrics.utilisation() == nil)
      #expect(metrics.lag.count == 0 && metrics.offloadWait.count == 0 && metrics.offloadRun.count == 0)
      #expect(metrics.iterations > 0 && metrics.jobs > 0 && metrics.posts > 0 && metrics.elapsed > .zero)
    }
  }

  @Test func `utilisation is nil where no time has passed, and from 0 to 1 else`() async throws {
    try await onTestLoop(metrics: true) { loop, _ in
      let early = loop.metrics
      try await iterate(loop)
      let late = loop.metrics
      #expect(early.utilisation(since: early) == nil)
      #expect(early.utilisation(since: late) == nil)
      for share in [late.utilisation(), late.utilisation(since: early)] {
        let share = try #require(share)
        #expect((0...1).contains(share))
      }
    }
  }

  // MARK: J-05

  @Test func `J-05 in a job all polls are over, and in a callback of the poll one is not`() async throws {
    try await onTestLoop { loop, _ in
      func polls() -> Int { loop.metrics.polls - loop.metrics.iterations }
      #expect(polls() == 0)
      try await iterate(loop)
      #expect(polls() == 0)
      let (pair, seen) = (SocketPair(), Event("readable"))
      let found = Shared<[Int]>([])
      let poll = try PollHandle(descriptor: pair.watched)
      try poll.start(for: .readable) { _ in
        pair.drain()
        found.update { $0.append(polls()) }
        seen.signal()
      }
      let async = try AsyncHandle {
        found.update { $0.append(polls()) }
        seen.signal()
      }
      pair.feed()
      async.sender.send()
      try await seen.wait(times: 2)
      #expect(found.value == [1, 1])
      poll.close()
      async.close()
    }
  }

  @Test func `J-05 an iteration later there is one iteration and one poll more`() async throws {
    try await onTestLoop { loop, _ in
      var before = loop.metrics
      for _ in 0..<50 {
        try await loop.sleep(for: .zero)
        let now = loop.metrics
        #expect(now.iterations > before.iterations && now.iterations - before.iterations == now.polls - before.polls)
        #expect(now.timersFired == before.timersFired + 1)
        #expect(now.jobs > before.jobs)
        before = now
      }
    }
  }

  @Test func `J-05 each closure sees how many have run, and how many wait`() async throws {
    let seen = Shared<[(jobs: Int, posts: Int, queued: Int)]>([])
    try await withTestLoop { loop, _ in
      let (began, isPosted, isOver) = (Event("began"), Event("posted"), Event("over"))
      @Sendable func look() {
        let metrics = loop.metrics
        seen.update { $0.append((metrics.jobs, metrics.posts, metrics.queued)) }
      }
      try loop.post {
        began.signal()
        isPosted.waitBlocking()
        look()
      }
      try await began.wait()
      for _ in 0..<5 { try loop.post { look() } }
      try loop.post { isOver.signal() }
      isPosted.signal()
      try await isOver.wait()
    }
    let first = try #require(seen.value.first)
    #expect(seen.value.map(\.queued) == [6, 5, 4, 3, 2, 1])
    #expect(seen.value.map { $0.jobs - first.jobs } == [0, 1, 2, 3, 4, 5])
    #expect(seen.value.allSatisfy { $0.posts == first.posts })
  }

  @Test func `J-05 what the loop posts to itself waits in its queue`() async throws {
    try await onTestLoop { loop, _ in
      let before = loop.metrics
      for _ in 0..<3 { try loop.post {} }
      #expect(loop.metrics.queued == before.queued + 3)
      #expect(loop.snapshot().queued == before.queued + 3)
      #expect(loop.metrics.posts == before.posts)
      try await iterate(loop)
      #expect(loop.metrics.queued == 0)
    }
  }

  @Test func `J-05 a callback counts itself`() async throws {
    try await onTestLoop { loop, _ in
      let (before, done) = (loop.metrics.callbacks, Event("three callbacks"))
      let found = Shared<[Int]>([])
      let timer = try TimerHandle()
      try timer.start(after: .zero, repeating: .milliseconds(1)) {
        found.update { $0.append(loop.metrics.callbacks - before) }
        if found.value.count == 3 { timer.close() }
        done.signal()
      }
      try await done.wait(times: 3)
      #expect(found.value == [1, 2, 3])
    }
  }

  @Test func `a loop that sleeps is woken once for a burst`() async throws {
    try await withTestLoop { loop, _ in
      await expectEventually { loop.probe.isAsleep }
      let before = loop.metrics
      let isDone = Event("done")
      try loop.post { isDone.signal() }
      try await isDone.wait()
      let after = loop.metrics
      #expect(after.posts == before.posts + 1 && after.wakes == before.wakes + 1)
      #expect(after.iterations > before.iterations)
    }
  }

  // MARK: J-06

  @Test func `J-06 a stall of 50 ms is counted once, in its bucket`() async throws {
    let difference = try await undisturbed(below: .milliseconds(10)) {
      try await onTestLoop(metrics: true) { loop, _ in
        try await iterate(loop)
        let before = loop.metrics.lag
        spin(for: .milliseconds(50))
        try await iterate(loop)
        return loop.metrics.lag.since(before)
      }
    }
    let long = difference.buckets.filter { $0.range.upperBound > .milliseconds(50) }
    #expect(long.map(\.count) == [1], "\(difference)")
    #expect(long.allSatisfy { $0.range.lowerBound < .milliseconds(65) }, "\(long)")
    #expect(difference.count >= 5 && difference.max >= .milliseconds(50))
    #expect(difference.percentile(1) >= .milliseconds(50) && difference.percentile(0.5) < .milliseconds(25))
  }

  @Test func `J-06 the wait in the poll is no delay`() async throws {
    let difference = try await undisturbed(below: .milliseconds(10)) {
      try await onTestLoop(metrics: true) { loop, _ in
        try await iterate(loop)
        let before = loop.metrics.lag
        for _ in 0..<3 { try await loop.sleep(for: .milliseconds(60)) }
        return loop.metrics.lag.since(before)
      }
    }
    #expect(difference.count >= 3)
    #expect(difference.buckets.allSatisfy { $0.range.lowerBound < .milliseconds(40) }, "\(difference.buckets)")
  }

  @Test func `what is offloaded is measured, as it waits and as it runs`() async throws {
    try await onTestLoop(metrics: true) { loop, _ in
      for _ in 0..<3 { try await loop.offload { spin(for: .milliseconds(2)) } }
      // A call's task goes home before its worker looks at the clock.
      await expectEventually { loop.metrics.offloadRun.count == 3 }
      let metrics = loop.metrics
      #expect(metrics.offloadWait.count == 3)
      #expect(metrics.offloadRun.percentile(0) >= .milliseconds(1))
      #expect(metrics.offloadsQueued == 0 && metrics.offloadsRunning == 0)
    }
  }

  // MARK: J-11

  @Test func `J-11 after shutdown metrics and snapshots can be read, and nothing runs`() async throws {
    for metrics in [false, true] {
      let loop = try await withTestLoop("over", metrics: metrics) { loop, _ in
        try loop.reportSlowCalls(over: .seconds(3_600)) { _ in }
        try await loop.run { loop in
          try TimerHandle().start(after: .seconds(60)) {}
          try loop.schedule(after: .seconds(60)) { _ = loop }
          try await loop.offload {}
        }
        return loop
      }
      let (first, inside) = (loop.metrics, await loop.snapshot())
      let (second, outside) = (loop.metrics, try loop.snapshotFromOutside())
      #expect(first.iterations > 0 && first.iterations == second.iterations && first.polls == second.polls)
      #expect(first.elapsed == second.elapsed && first.idle == second.idle && (first.idle == nil) == !metrics)
      #expect(first.lag == second.lag)
      #expect(first.queued == 0 && first.offloadsQueued == 0 && first.offloadsRunning == 0)
      for snapshot in [inside, outside] {
        #expect(snapshot.loop == "over" && snapshot.state == .stopped && snapshot.running == nil)
        #expect(snapshot.queued == 0 && snapshot.handles.isEmpty && snapshot.sleepers.isEmpty)
        #expect(snapshot.scheduledCalls.isEmpty && snapshot.limits.isEmpty && snapshot.waits == 0)
        #expect(snapshot.tasks.isEmpty && snapshot.offloadsQueued.isEmpty && snapshot.offloadsRunning.isEmpty)
        #expect(snapshot.foreignHandles ?? [] == [])
      }
    }
  }

  @Test func `J-11 metrics and snapshots may be read while the loop ends`() async throws {
    for _ in 0..<20 {
      try await withTestLoop(metrics: true) { loop, _ in
        let (began, isOver) = (Event("began"), Shared(false))
        let reader = PlainThread {
          while !isOver.value {
            _ = loop.metrics.utilisation()
            do { _ = try loop.snapshotFromOutside(timeout: .seconds(20)) } catch { Issue.record("\(error)") }
            began.signal()
          }
        }
        try await began.wait()
        await loop.shutdown()
        isOver.value = true
        try await reader.join()
      }
    }
  }
}
