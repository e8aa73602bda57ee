import Testing

@testable import UVLoop

/// Reports of calls that wait long for a thread, while they do.
@Suite(.alone) struct OffloadWatchdogTests {
  /// What a watchdog has reported.
  private final class Log: Sendable {
    private let reports = Shared<[OffloadStall]>([])
    private let came = Event("a report of a watchdog")

    func add(_ stall: OffloadStall) {
      reports.update { $0.append(stall) }
      came.signal()
    }

    var all: [OffloadStall] { reports.value }

    func wait(times: Int) async throws { try await came.wait(times: times, within: .seconds(60)) }

    /// The first report that is as wanted: a busy machine may not have given a thread the time to answer.
    func first(where isWanted: (OffloadStall) -> Bool) async throws -> OffloadStall {
      for times in 1...10 {
        try await wait(times: times)
        if let stall = all[..<times].last(where: isWanted) { return stall }
      }
      return try #require(all.first)
    }
  }

  @Test func `J-14 what waits long for a pool is reported while it does, with what blocks and where`() async throws {
    let (log, functions) = (Log(), BlockingFunctions())
    try await withOffloadPool(name: "db", threads: 1) { pool in
      defer { functions.release() }
      try pool.startWatchdog(over: .milliseconds(50)) { log.add($0) }
      try pool.submit(label: "slow") { functions.sleepsInUsleep() }
      try await functions.began.wait()
      try pool.submit(label: "late") {}
      try pool.submit(label: "later") {}
      let stall = try await log.first { $0.queued == 2 && $0.running.first?.stack.isEmpty == false }
      #expect(stall.work == "pool \"db\"" && stall.lane == nil)
      #expect(stall.queued == 2 && stall.waited >= .milliseconds(50))
      let job = try #require(stall.running.first)
      #expect(stall.running.count == 1)
      #expect(job.label == "slow" && job.age >= stall.waited && job.waitsIn == nil)
      #expect(job.thread?.name == "db-1")
      #expect(job.stack.description.contains("sleepsInUsleep"), "\(stall)")
      #expect(stall.description.hasPrefix("2 calls wait for pool \"db\", the first in line for "), "\(stall)")
      #expect(stall.description.contains("What runs:\n\"slow\", for "), "\(stall)")
    }
  }

  @Test func `J-14 it comes once for each doubling, as long as calls are late`() async throws {
    let log = Log()
    try await withOffloadPool(threads: 1) { pool in
      let held = try await HeldThreads(1, of: pool)
      try pool.startWatchdog(over: .milliseconds(20)) { log.add($0) }
      try pool.submit {}
      try await log.wait(times: 4)
      held.release()
    }
    for (index, stall) in log.all.enumerated() {
      #expect(stall.waited >= .milliseconds(20 << index), "report \(index + 1) after \(stall.waited)")
    }
  }

  @Test func `J-14 a call that runs for long while nobody waits is not reported`() async throws {
    let log = Log()
    try await withOffloadPool(threads: 2) { pool in
      let held = try await HeldThreads(1, of: pool)
      try pool.startWatchdog(over: .milliseconds(200)) { log.add($0) }
      let count = try await undisturbed(below: .milliseconds(100)) {
        let before = log.all.count
        for _ in 0..<20 {
          try await pool.run { spin(for: .milliseconds(20)) }
        }
        return log.all.count - before
      }
      #expect(count == 0)
      held.release()
    }
  }

  @Test func `J-14 a second watch replaces the first, and its end is the end of the reports and of what they keep`()
    async throws
  {
    let (first, second, released) = (Log(), Log(), Event("what a report kept"))
    try await withOffloadPool(threads: 1) { pool in
      let held = try await HeldThreads(1, of: pool)
      for witness in [ReleaseWitness(released)] {
        try pool.startWatchdog(over: .milliseconds(20)) {
          witness.touch()
          first.add($0)
        }
      }
      try pool.startWatchdog(over: .milliseconds(20)) { second.add($0) }
      try await released.wait()
      try pool.submit {}
      try await second.wait(times: 1)
      #expect(first.all.isEmpty)
      pool.stopWatchdog()
      pool.stopWatchdog()
      let count = second.all.count
      // The watchdog of another pool tells that time has passed.
      let others = Log()
      try await withOffloadPool(threads: 1) { other in
        let otherHeld = try await HeldThreads(1, of: other)
        try other.startWatchdog(over: .milliseconds(20)) { others.add($0) }
        try other.submit {}
        try await others.wait(times: 5)
        otherHeld.release()
      }
      // One may have been under way.
      #expect(second.all.count <= count + 1)
      held.release()
    }
  }

  @Test func `J-14 a start hook that holds the only thread is named, and its stack is shown`() async throws {
    let (log, functions) = (Log(), BlockingFunctions())
    let pool = try OffloadPool(name: "db", threads: 1, onThreadStart: { functions.sleepsInUsleep() })
    defer { functions.release() }
    try pool.startWatchdog(over: .milliseconds(50)) { log.add($0) }
    try pool.submit {}
    let stall = try await log.first { $0.running.first?.stack.isEmpty == false }
    #expect(stall.running.map(\.label) == ["the start hook"], "\(stall)")
    #expect(stall.running.first?.stack.description.contains("sleepsInUsleep") == true, "\(stall)")
    functions.release()
    await pool.shutdown()
  }

  @Test func `J-14 what has been late for long when the watch begins is reported once`() async throws {
    let log = Log()
    try await withOffloadPool(threads: 1) { pool in
      let held = try await HeldThreads(1, of: pool)
      try pool.submit {}
      await expectEventually { (pool.statistics.oldestQueued ?? .zero) >= .milliseconds(100) }
      try pool.startWatchdog(over: .milliseconds(1)) { log.add($0) }
      try await log.wait(times: 2)
      held.release()
    }
    #expect(log.all[1].waited >= .milliseconds(128), "\(log.all.map(\.waited))")
  }

  @Test func `J-14 no thread, no handler and no memory is left of watches`() async {
    await #expect(processExitsWith: .success) {
      final class Weak: Sendable {
        weak let object: (any WatchedWork)?
        init(_ object: any WatchedWork) { self.object = object }
      }
      var weak: [Weak] = []
      for round in 0..<20 {
        let (pool, thread) = (try OffloadPool(threads: 2), try OffloadThread())
        let clerk = Clerk(on: thread)
        try pool.startWatchdog(over: .seconds(1)) { _ in }
        try thread.startWatchdog(over: .seconds(1)) { _ in }
        try await pool.run {}
        await clerk.nothing()
        if round % 3 == 0 {
          pool.stopWatchdog()
          thread.stopWatchdog()
        }
        weak += [Weak(pool.core), Weak(thread.core)]
        await pool.shutdown()
        await thread.shutdown()
      }
      await expectEventually { WatchdogLifeTests.watchdogs == 0 }
      await expectEventually { weak.allSatisfy { $0.object == nil } }
      #expect(SignalClaimTests.disposition(.urgentData) == 0)
    }
  }

  @Test func `J-14 a watch that is stopped gives its signal back, though the thread is idle`() async {
    await #expect(processExitsWith: .success) {
      let (pool, thread) = (try OffloadPool(threads: 1), try OffloadThread())
      try pool.startWatchdog(over: .seconds(1)) { _ in }
      try thread.startWatchdog(over: .seconds(1)) { _ in }
      try await pool.run {}
      await Clerk(on: thread).nothing()
      #expect(SignalClaimTests.disposition(.urgentData) > 1)
      pool.stopWatchdog()
      thread.stopWatchdog()
      await expectEventually { SignalClaimTests.disposition(.urgentData) == 0 }
    }
  }

  @Test func `J-14 a child of a fork has none of the watches, and its pools work`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.startWatchdog(over: .milliseconds(10)) { _ in }
      let works = try await onPlainThread {
        try #require(
          Fork.child {
            guard let own = try? OffloadPool(threads: 1), (try? own.runBlocking { 3 }) == 3 else { return 1 }
            guard (try? own.startWatchdog(over: .seconds(1)) { _ in }) != nil else { return 2 }
            return (try? own.runBlocking { 4 }) == 4 ? 0 : 3
          }
        ).wait()
      }
      #expect(works == .exited(0))
    }
  }

  @Test func `J-14 the end of a pool, and of a thread, ends the watch, and a later one is refused`() async throws {
    let released = Event("what a report kept")
    let (pool, thread) = (try OffloadPool(name: "gone"), try OffloadThread(name: "gone"))
    for witness in [ReleaseWitness(released)] {
      try pool.startWatchdog(over: .seconds(1)) { _ in witness.touch() }
    }
    for witness in [ReleaseWitness(released)] {
      try thread.startWatchdog(over: .seconds(1)) { _ in witness.touch() }
    }
    try await pool.run {}
    await pool.shutdown()
    await thread.shutdown()
    try await released.wait(times: 2)
    try expectCode(.poolClosed) { try pool.startWatchdog(over: .seconds(1)) { _ in } }
    try expectCode(.poolClosed) { try thread.startWatchdog(over: .seconds(1)) { _ in } }
    pool.stopWatchdog()
    thread.stopWatchdog()
  }

  @Test func `J-14 a threshold of nothing and a signal that cannot be used are refused`() throws {
    let (pool, thread) = (try OffloadPool(), try OffloadThread())
    for threshold in [Duration.zero, .seconds(-1)] {
      try expectCode(.invalidArgument) { try pool.startWatchdog(over: threshold) { _ in } }
      try expectCode(.invalidArgument) { try thread.startWatchdog(over: threshold) { _ in } }
      try expectCode(.invalidArgument) { try ThreadPool.startWatchdog(over: threshold) { _ in } }
    }
    try expectCode(.invalidArgument) { try pool.startWatchdog(over: .seconds(1), signal: .kill) { _ in } }
  }

  private actor Clerk: ThreadActor {
    nonisolated let thread: OffloadThread

    init(on thread: OffloadThread) { self.thread = thread }

    func nothing() {}
    func waitsForItself(by way: OffloadPool, _ begun: Event) throws {
      begun.signal()
      try way.runBlocking(label: "round trip", timeout: .seconds(60)) {
        let done = Event("the round trip")
        Task {
          await self.nothing()
          done.signal()
        }
        done.waitBlocking(within: .seconds(60))
      }
    }
  }

  @Test func `J-15 a method that blocks for its own thread is reported with the task, its wait and what waits for it`()
    async throws
  {
    let log = Log()
    let thread = try OffloadThread(name: "clerk")
    let clerk = Clerk(on: thread)
    let pool = try OffloadPool(name: "way", threads: 1)
    try thread.startWatchdog(over: .milliseconds(50)) { log.add($0) }
    let begun = Event("the method")
    let task = Task(name: "deadlocked") { try await clerk.waitsForItself(by: pool, begun) }
    try await begun.wait()
    let stall = try await log.first { stall in
      stall.running.first.map { !$0.stack.isEmpty && $0.waitsIn != nil } ?? false
    }
    #expect(stall.work == "thread \"clerk\"" && stall.queued == 1)
    let job = try #require(stall.running.first)
    #expect(job.label == "deadlocked" && job.thread?.kernelID == thread.identity.kernelID)
    #expect(job.waitsIn == "runBlocking of \"round trip\" on pool \"way\"")
    #expect(job.stack.description.contains("waitsForItself"), "\(stall)")
    #expect(stall.description.contains(", waits in runBlocking of \"round trip\" on pool \"way\". It stands in\n"))
    // The rest of the process is not to wait for its time out.
    thread.stopWatchdog()
    await thread.shutdown(within: .zero)
    _ = task
  }

  @Test func `J-16 what waits long for libuv's pool, or for a place in a lane of it, is reported`() async throws {
    let log = Log()
    let lane = try OffloadLane(name: "disk", limit: 1)
    try ThreadPool.startWatchdog(over: .milliseconds(50)) { stall in if stall.lane == "disk" { log.add(stall) } }
    defer { ThreadPool.stopWatchdog() }
    try await withTestLoop("lanes") { loop, _ in
      let functions = BlockingFunctions()
      let (begun, calls) = (functions.began, Shared<[Task<Void, any Error>]>([]))
      defer { functions.release() }
      calls.update {
        $0.append(Task { try await loop.offload(in: lane, label: "slow") { functions.sleepsInUsleep() } })
      }
      try await begun.wait()
      calls.update { $0.append(Task { try await loop.offload(in: lane, label: "late") {} }) }
      let stall = try await log.first { $0.running.first?.stack.isEmpty == false }
      #expect(stall.work == "libuv's pool" && stall.queued == 1)
      let job = try #require(stall.running.first)
      #expect(job.label == "slow" && job.stack.description.contains("sleepsInUsleep"), "\(stall)")
      #expect(stall.description.hasPrefix("a call waits for lane \"disk\" of libuv's pool, "), "\(stall)")
      functions.release()
      for call in calls.value { try await call.value }
    }
  }

  @Test func `J-16 what waits for a worker of libuv's pool is reported with what has all of them`() async {
    await #expect(processExitsWith: .success) {
      let log = Log()
      try ThreadPool.startWatchdog(over: .milliseconds(50)) { log.add($0) }
      try await withTestLoop("full") { loop, _ in
        let workers = try await HeldWorkers(ThreadPool.size, on: loop)
        let late = Task { try await loop.offload(label: "late") {} }
        let stall = try await log.first { $0.running.allSatisfy { !$0.stack.isEmpty } }
        #expect(stall.work == "libuv's pool" && stall.lane == nil && stall.queued == 1)
        #expect(Set(stall.running.map(\.label)) == Set((1...ThreadPool.size).map { "holder \($0)" }))
        #expect(stall.running.allSatisfy { $0.thread?.name == "libuv-worker" }, "\(stall)")
        try await workers.release()
        try await late.value
      }
      ThreadPool.stopWatchdog()
    }
  }

  @Test func `J-17 snapshots and metrics tell of pools, lanes and threads, and of a loop's calls there`() async throws {
    let (pool, lane) = (try OffloadPool(name: "J-17", threads: 1), try OffloadLane(name: "J-17", limit: 1))
    let thread = try OffloadThread(name: "J-17")
    try await withTestLoop("seen") { loop, _ in
      let (gate, begun) = (Event("the release"), Event("what is held"))
      let clerk = Clerk(on: thread)
      let hold: @Sendable () -> Void = {
        begun.signal()
        gate.waitBlocking(within: .seconds(60))
      }
      try clerk.post { _ in hold() }
      try clerk.post { _ in }
      var calls: [Task<Void, any Error>] = []
      for label in ["runs", "waits"] {
        calls.append(Task { try await loop.offload(on: pool, label: label) { if label == "runs" { hold() } } })
        calls.append(Task { try await loop.offload(in: lane, label: label) { if label == "runs" { hold() } } })
        if label == "runs" { try await begun.wait(times: 3) }
      }
      await expectEventually { loop.metrics.offloadsQueued == 2 && loop.metrics.offloadsRunning == 2 }
      let snapshots = [await loop.snapshot(), try loop.snapshotFromOutside()]
      for snapshot in snapshots {
        for (calls, label) in [(snapshot.offloadsRunning, "runs"), (snapshot.offloadsQueued, "waits")] {
          #expect(calls.map(\.label) == [label, label])
          #expect(Set(calls.map(\.pool)) == [nil, "J-17"] && Set(calls.map(\.lane)) == [nil, "J-17"])
        }
        let own = try #require(snapshot.ownPools.first { $0.name == "J-17" })
        #expect(own.threads == 1 && own.running == 1 && own.queued == 1 && own.jobs.map(\.label) == ["runs"])
        let places = try #require(snapshot.lanes.first { $0.name == "J-17" })
        #expect(places.limit == 1 && places.running == 1 && places.queued == 1)
        let actors = try #require(snapshot.actorThreads.first { $0.name == "J-17" })
        #expect(actors.queued == 1 && actors.running != nil)
        let text = snapshot.description
        #expect(
          text.contains("call \"runs\" on pool \"J-17\", for ") && text.contains("call \"waits\" in lane \"J-17\""))
        for title in ["pool", "lane"] {
          #expect(text.contains("\(title) \"J-17\": 1 run, 1 wait, the first in line for "), "\(text)")
        }
      }
      gate.signal()
      for call in calls { try await call.value }
    }
    await pool.shutdown()
    await thread.shutdown()
    let later = try await withEventLoop { $0.snapshot() }
    #expect(!(later.ownPools.map(\.name) + later.lanes.map(\.name) + later.actorThreads.map(\.name)).contains("J-17"))
  }
}
