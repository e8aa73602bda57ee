import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a pool of one's own and its calls end: cancelled, by a shutdown, dropped, with the process; and how calls keep a
/// loop.
@Suite(.alone) struct OffloadPoolEndTests {
  @Test(arguments: [true, false])
  func `C-24 a call that waits is cancelled within 50 ms though every thread is held`(hasLoop: Bool) async throws {
    try await withOffloadPool(threads: 2) { pool in
      try await withTestLoop { loop, _ in
        let held = try await HeldThreads(2, of: pool)
        let (released, hasRun) = (Event("the release of what it captured"), Shared(false))
        let took = try await undisturbed(below: .milliseconds(20)) {
          let task = Task {
            let witness = ReleaseWitness(released)
            if hasLoop {
              try await loop.offload(on: pool) {
                witness.touch()
                hasRun.value = true
              }
            } else {
              try await pool.run {
                witness.touch()
                hasRun.value = true
              }
            }
          }
          await expectEventually { pool.statistics.queued == 1 }
          let began = MonotonicClock.now()
          task.cancel()
          try await expectCancelled { try await task.value }
          return Duration.nanoseconds(MonotonicClock.now() - began)
        }
        #expect(took < .milliseconds(50))
        #expect(pool.statistics.queued == 0)
        try await released.wait()
        held.release()
        try await pool.run {}
        #expect(!hasRun.value)
      }
    }
  }

  @Test func `C-31 what was accepted ends before the shutdown does, and later calls are refused`() async throws {
    let pool = try OffloadPool(name: "ending", threads: 2)
    let held = try await HeldThreads(2, of: pool)
    let ends = Counter()
    for _ in 0..<10 { try pool.submit { ends.add() } }
    let tasks = (0..<10).map { _ in Task { try await pool.run { ends.add() } } }
    await expectEventually { pool.statistics.queued == 20 }
    let report = Task.immediate { await pool.shutdown() }
    try await expectCode(.poolClosed) { try await pool.run {} }
    try expectCode(.poolClosed) { try pool.submit {} }
    try await expectCode(.poolClosed) { _ = try await onPlainThread { try pool.runBlocking {} } }
    held.release()
    for task in tasks { _ = try await task.value }
    #expect(await report.value.unfinished.isEmpty)
    #expect(ends.value == 20)
    #expect(await pool.shutdown().unfinished.isEmpty)
    await expectEventually { pool.statistics.threads == 0 }
  }

  @Test(arguments: [Duration.milliseconds(30), .zero, .seconds(-1)])
  func `C-31 when its time is over the report names what runs, and what waits is refused`(limit: Duration) async throws
  {
    let pool = try OffloadPool(name: "late", threads: 1)
    let held = try await HeldThreads(1, of: pool)
    let hasRun = Shared(false)
    let waiting = Task { try await pool.run(label: "waits") { hasRun.value = true } }
    await expectEventually { pool.statistics.queued == 1 }
    let hasReleased = Event("the release of the closure")
    let witness = Shared<ReleaseWitness?>(ReleaseWitness(hasReleased))
    try Self.submit(to: pool, keeping: try #require(witness.value))
    witness.value = nil
    let task = Task(executorPreference: pool.taskExecutor) { DetachedThread.currentName }
    await expectEventually { pool.statistics.tasksQueued == 1 }
    let report = await pool.shutdown(within: limit)
    #expect(Set(report.unfinished.map(\.label)) == ["holder 1", "waits", "closure"])
    #expect(report.unfinished.allSatisfy { $0.kind == .offload && $0.pool == "late" })
    #expect(report.description.contains("unfinished offload \"holder 1\" on pool \"late\""))
    try await expectCode(.poolClosed) { try await waiting.value }
    // A job of a task cannot be refused: it runs on Swift's pool.
    #expect(await task.value.hasPrefix("late-") == false)
    try await hasReleased.wait()
    held.release()
    await expectEventually { pool.statistics.threads == 0 }
    #expect(!hasRun.value)
  }

  private static func submit(to pool: OffloadPool, keeping witness: ReleaseWitness) throws {
    try pool.submit(label: "closure") { witness.touch() }
  }

  @Test func `C-31 asked for by one of its own calls it does not wait for that`() async throws {
    try await withTestLoop { loop, _ in
      let pool = try OffloadPool(name: "own", threads: 2)
      let report = try await pool.run {
        try loop.runBlocking { _ in await pool.shutdown() }
      }
      #expect(report.unfinished.isEmpty)
      // On one of its threads the plain form would wait for itself.
      let other = try OffloadPool(name: "blocking", threads: 1)
      try await other.run { try expectCode(.wouldDeadlock) { try other.shutdownBlocking() } }
      #expect(try await onPlainThread { try other.shutdownBlocking() }.unfinished.isEmpty)
    }
  }

  @Test func `C-31 it waits no more for a call that is abandoned, or for one that is cancelled in line`() async throws {
    let pool = try OffloadPool(threads: 1)
    let (begun, mayEnd) = (Event("the begin"), Event("the end"))
    let abandoned = Task {
      try await pool.run(label: "abandoned", onCancel: .abandon) {
        begun.signal()
        mayEnd.waitBlocking()
      }
    }
    try await begun.wait()
    let waiting = Task { try await pool.run {} }
    await expectEventually { pool.statistics.queued == 1 }
    let ending = Task.immediate { await pool.shutdown() }
    abandoned.cancel()
    try await expectCancelled { _ = try await abandoned.value }
    waiting.cancel()
    try await expectCancelled { try await waiting.value }
    #expect(await ending.value.unfinished.map(\.label) == ["abandoned"])
    mayEnd.signal()
  }

  @Test func `C-31 asked for by calls on each of its threads it refuses what waits for one of them`() async throws {
    try await withTestLoop { loop, _ in
      let pool = try OffloadPool(threads: 1)
      let isQueued = Event("the queueing of another call")
      let first = Task {
        try await pool.run {
          isQueued.waitBlocking()
          return try loop.runBlocking { _ in await pool.shutdown() }
        }
      }
      await expectEventually { pool.statistics.running == 1 }
      let second = Task { try await pool.run(label: "second") {} }
      await expectEventually { pool.statistics.queued == 1 }
      isQueued.signal()
      #expect(try await first.value.unfinished.map(\.label) == ["second"])
      try await expectCode(.poolClosed) { try await second.value }
      // By way of another pool's thread.
      let (outer, inner) = (try OffloadPool(threads: 1), try OffloadPool(threads: 1))
      let report = try await outer.run { try inner.runBlocking { try outer.shutdownBlocking() } }
      #expect(report.unfinished.isEmpty)
      await inner.shutdown()
    }
  }

  @Test func `C-32 a thread that waits keeps nothing of its last call`() async throws {
    let pool = try OffloadPool(threads: 2)
    var loop: EventLoop? = try EventLoop()
    let core = WeakCore(of: try #require(loop))
    for _ in 0..<10 { try await loop?.offload(on: pool) {} }
    await loop?.shutdown()
    loop = nil
    await expectEventually { core.isFreed }
    await pool.shutdown()
  }

  @Test func `C-31 a shutdown that blocks a plain thread ends with its limit`() async throws {
    let pool = try OffloadPool(name: "plain", threads: 1)
    let held = try await HeldThreads(1, of: pool)
    let report = try await onPlainThread { try pool.shutdownBlocking(within: .milliseconds(20)) }
    #expect(report.unfinished.map(\.label) == ["holder 1"])
    held.release()
    await expectEventually { pool.statistics.threads == 0 }
  }

  @Test func `C-32 a pool that is dropped ends its threads after their work, also on one of them`() async throws {
    let before = Process.threads
    let (ends, isGone) = (Counter(), Event("the end hook"))
    var pool: OffloadPool? = try OffloadPool(threads: 1, onThreadEnd: { isGone.signal() })
    let held = try await HeldThreads(1, of: try #require(pool))
    for _ in 0..<5 { try pool?.submit { ends.add() } }
    pool = nil
    held.release()
    try await isGone.wait()
    #expect(ends.value == 5)
    // The last reference goes on the pool's own thread.
    let last = Shared<OffloadPool?>(try OffloadPool(threads: 1, onThreadEnd: { isGone.signal() }))
    try last.value?.submit { last.value = nil }
    try await isGone.wait(times: 2)
    await expectEventually { Process.threads.subtracting(before).isEmpty }
  }

  @Test func `C-32 a task keeps the pool that it prefers`() async throws {
    let mayGo = Event("the second half")
    let task: Task<String, any Error>
    do {
      let pool = try OffloadPool(name: "kept", threads: 1)
      task = Task(executorPreference: pool.taskExecutor) {
        try await mayGo.wait()
        return DetachedThread.currentName
      }
    }
    mayGo.signal()
    #expect(try await task.value == "kept-1")
  }

  @Test func `C-33 a loop's shutdown waits for its calls on pools, and names those that are late`() async throws {
    let pool = try OffloadPool(name: "slow", threads: 1)
    let loop = try EventLoop(.init(name: "waits"))
    let held = try await HeldThreads(1, of: pool)
    let (hasRun, isOver) = (Shared(false), Shared(false))
    let accepted = Task { try await loop.offload(on: pool, label: "accepted") { hasRun.value = true } }
    await expectEventually { pool.statistics.queued == 1 }
    let ending = Task {
      let report = await loop.shutdown()
      isOver.value = true
      return report
    }
    await expectEventually { loop.state != .running }
    try await expectCode(.loopClosed) { try await loop.offload(on: pool) {} }
    #expect(!isOver.value)
    held.release()
    try await accepted.value
    #expect(await ending.value.unfinished.isEmpty && hasRun.value)

    let other = try EventLoop(.init(name: "has a limit"))
    let (begun, mayEnd) = (Event("the begin"), Event("the end"))
    let late = Task {
      try await other.offload(on: pool, label: "late") {
        begun.signal()
        mayEnd.waitBlocking()
      }
    }
    try await begun.wait()
    let never = Task { try await other.offload(on: pool, label: "never") {} }
    await expectEventually { pool.statistics.queued == 1 }
    let report = await other.shutdown(within: .milliseconds(20))
    #expect(report.unfinished.map(\.label) == ["late"] && report.unfinished.map(\.pool) == ["slow"])
    try await expectCode(.loopClosed) { try await never.value }
    mayEnd.signal()
    try await late.value
    await pool.shutdown()
  }

  @Test func `C-33 a call on a pool holds a time that jumps`() async throws {
    let pool = try OffloadPool(name: "held time", threads: 1)
    let loop = try EventLoop(.init(name: "jumps", time: .autojump))
    let mayEnd = Event("the end of the call")
    let order = Shared<[String]>([])
    let call = Task {
      _ = try await loop.offload(on: pool) {
        mayEnd.waitBlocking()
        // Not behind it: the task may come back much later.
        order.update { $0.append("call") }
      }
    }
    await expectEventually { pool.statistics.running == 1 }
    let sleeper = Task {
      try await loop.run { loop in try await loop.sleep(for: .seconds(3_600)) }
      order.update { $0.append("sleep") }
    }
    await expectEventually { await loop.run { $0.probe.timers } == 1 }
    for _ in 0..<20 { await loop.run { _ in } }
    #expect(order.value.isEmpty)
    mayEnd.signal()
    try await call.value
    try await sleeper.value
    #expect(order.value.last == "sleep")
    await loop.shutdown()
    await pool.shutdown()
  }

  @Test func `C-34 a process that exits waits for no pool, and nothing aborts`() async {
    await #expect(processExitsWith: .success) {
      let pool = try OffloadPool(threads: 2)
      let held = try await HeldThreads(2, of: pool)
      for _ in 0..<100 { try pool.submit { abort() } }
      _ = held
      exit(0)
    }
  }

  @Test(arguments: [true, false])
  func `C-34 a call of a pool, and a method of an actor's thread, may end the process`(isPool: Bool) async {
    await #expect(processExitsWith: .exitCode(7)) { [isPool] in
      let loop = try EventLoop(.init(name: "cut off"))
      let (pool, thread) = (try OffloadPool(threads: 4), try OffloadThread())
      let held = try await HeldThreads(2, of: pool)
      let begun = Event("a call of the loop")
      let call = Task {
        try await loop.offload(on: pool) {
          begun.signal()
          while true { Posix.yield() }
        }
      }
      try await begun.wait()
      if isPool {
        try pool.submit { exit(7) }
      } else {
        try Leaver(thread).post { _ in exit(7) }
      }
      try await call.value
      held.release()
    }
  }

  private actor Leaver: ThreadActor {
    nonisolated let thread: OffloadThread

    init(_ thread: OffloadThread) { self.thread = thread }
  }

  @Test func `C-34 in the child of a fork a pool of the parent traps, and a new one works`() async {
    await #expect(processExitsWith: .success) {
      let pool = try OffloadPool(name: "parent's", threads: 1)
      try await pool.run {}
      let trapped = try await onPlainThread {
        try #require(
          Fork.child {
            try? pool.submit {}
            return 0
          }
        ).wait()
      }
      #expect(trapped.isTrap)
      let works = try await onPlainThread {
        try #require(
          Fork.child {
            guard let own = try? OffloadPool(threads: 1), (try? own.runBlocking { 3 }) == 3 else { return 1 }
            return 0
          }
        ).wait()
      }
      #expect(works == .exited(0))
      try await pool.run {}
    }
  }

  /// What has become of a call.
  private enum Outcome { case ended, submitted, cancelled, refused }

  @Test(arguments: Seeds.first(3))
  func `C-35 in a storm of calls that are cancelled, and pools that end, each ends exactly once`(
    seed: UInt64
  ) async throws {
    let (pools, calls) = (Seeds.stormSize ?? 8, Seeds.stormSize == nil ? 500 : 10_000)
    try await withTestLoop { loop, _ in
      try await withThrowingTaskGroup(of: Void.self) { storm in
        for number in 0..<pools {
          var random = SplitMix(seed: seed << 32 + UInt64(number))
          storm.addTask {
            let (begun, outcomes) = try await Self.storm(calls, on: loop, &random)
            #expect(begun == outcomes[.ended, default: 0] + outcomes[.submitted, default: 0])
            #expect(outcomes.values.reduce(0, +) == calls)
          }
        }
        try await storm.waitForAll()
      }
    }
  }

  /// Calls a pool in each of the ways that there are, from up to 500 tasks at once, and ends it at a random moment.
  private static func storm(_ calls: Int, on loop: EventLoop, _ random: inout SplitMix) async throws -> (
    begun: Int, outcomes: [Outcome: Int]
  ) {
    let pool = try OffloadPool(
      threads: Int.random(in: 1...3, using: &random), queueLimit: Bool.random(using: &random) ? 20 : .max)
    let closesAt = Int.random(in: 0..<calls * 6 / 5, using: &random)
    let begun = Counter()
    var outcomes: [Outcome: Int] = [:]
    try await withThrowingTaskGroup(of: Outcome.self) { group in
      for number in 0..<calls {
        if number >= 500, let end = try await group.next() { outcomes[end, default: 0] += 1 }
        let (isCancelled, kind) = (Bool.random(using: &random), Int.random(in: 0..<6, using: &random))
        group.addTask {
          let task = Task {
            do {
              switch kind {
              case 0: _ = try await pool.run { begun.add() }
              case 1: _ = try await loop.offload(on: pool) { begun.add() }
              case 2: _ = try await pool.run(whenFull: .fail) { begun.add() }
              case 3:
                try pool.submit { begun.add() }
                return Outcome.submitted
              case 4: _ = await Task(executorPreference: pool.taskExecutor) { begun.add() }.value
              default: _ = try await loop.run { loop in try await loop.offload(on: pool) { begun.add() } }
              }
              return Outcome.ended
            } catch is CancellationError {
              return .cancelled
            } catch let error as UVError where error.code == .poolClosed || error.code == .busy {
              return .refused
            }
          }
          if isCancelled { task.cancel() }
          if number == closesAt { await pool.shutdown() }
          return try await task.value
        }
      }
      for try await end in group { outcomes[end, default: 0] += 1 }
    }
    await pool.shutdown()
    return (begun.value, outcomes)
  }
}
