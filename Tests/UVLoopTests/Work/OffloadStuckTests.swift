import Testing

@testable import UVLoop

/// What waits where it could never begin, and is not asked for by itself: who holds the threads waits for an end, a
/// thread or a place has gone, a hook blocks.
@Suite(.alone) struct OffloadStuckTests {
  /// Where a call that ends its loop holds the only place, and another one of the loop waits for that.
  enum OnlyPlace: String, CaseIterable, Codable {
    case ownPool, ownPoolOfNoLoop, lane, sharedPool
  }

  @Test(arguments: OnlyPlace.allCases)
  func `C-50 what waits for a thread that waits for the end of its loop is refused, and the loop ends`(
    place: OnlyPlace
  ) async {
    await #expect(processExitsWith: .success) { [place] in
      if place == .sharedPool { try ThreadPool.setSize(1) }
      let (pool, lane) = (try OffloadPool(name: "one", threads: 1), try OffloadLane(limit: 1))
      let loop = try EventLoop(.init(name: "ended"))
      let (begun, gate) = (Event("the first call"), Event("its end"))
      @Sendable func call(_ body: @escaping @Sendable () throws -> ShutdownReport?) async throws -> ShutdownReport? {
        switch place {
        case .ownPool, .ownPoolOfNoLoop: try await loop.offload(on: pool) { try body() }
        case .lane: try await loop.offload(in: lane) { try body() }
        case .sharedPool: try await loop.offload { try body() }
        }
      }
      let ends: @Sendable () throws -> ShutdownReport? = {
        begun.signal()
        gate.waitBlocking()
        return try loop.shutdownBlocking()
      }
      let first = Task {
        if place == .ownPoolOfNoLoop { return try await pool.run { try ends() } }
        return try await call(ends)
      }
      try await begun.wait()
      let second = Task { try await call { nil } }
      await expectEventually { loop.metrics.offloadsQueued == 1 }
      gate.signal()
      try await expectCode(.loopClosed) { _ = try await second.value }
      let report = try #require(try await first.value)
      #expect(report.unfinished.isEmpty && loop.state == .stopped)
      await pool.shutdown()
    }
  }

  @Test func `C-50 a call that waits for the ends of several loops holds none of them up`() async throws {
    try await withTestLoop { loop, _ in
      let pool = try OffloadPool(threads: 1)
      let loops = try (1...3).map { try EventLoop(.init(name: "ended \($0)")) }
      let (begun, gate) = (Event("the first call"), Event("the ends"))
      let first = Task {
        try await pool.run {
          begun.signal()
          gate.waitBlocking()
          try loop.runBlocking { _ in
            await withTaskGroup { ends in
              for loop in loops { ends.addTask { _ = await loop.shutdown() } }
            }
          }
        }
      }
      try await begun.wait()
      let calls = loops.map { loop in Task { try await loop.offload(on: pool) {} } }
      await expectEventually { pool.statistics.queued == 3 }
      gate.signal()
      for call in calls { try await expectCode(.loopClosed) { try await call.value } }
      try await first.value
      await pool.shutdown()
    }
  }

  @Test func `C-51 a shutdown that a job of the pool's executor asks for waits for what was accepted`() async throws {
    let pool = try OffloadPool(threads: 1)
    let (begun, gate) = (Event("the job"), Event("its end"))
    let job = Task(executorPreference: pool.taskExecutor) {
      begun.signal()
      gate.waitBlocking()
      return await pool.shutdown()
    }
    try await begun.wait()
    let calls = (0..<3).map { number in Task { try await pool.run { number } } }
    let closure = Event("a closure")
    try pool.submit { closure.signal() }
    await expectEventually { pool.statistics.queued == 4 }
    gate.signal()
    for (number, call) in calls.enumerated() { #expect(try await call.value == number) }
    #expect(await job.value.unfinished.isEmpty && closure.hasHappened)
  }

  @Test func `C-51 what a pool's shutdown and one of its calls wait for, which could never begin, is refused`()
    async throws
  {
    try await withTestLoop { loop, _ in
      let pool = try OffloadPool(threads: 2)
      let (begun, gates) = (Event("two calls"), (Event("the nested call"), Event("the shutdown")))
      let nests = Task {
        try await pool.run {
          begun.signal()
          gates.0.waitBlocking()
          return try pool.runBlocking(label: "nested") { 1 }
        }
      }
      let ends = Task {
        try await pool.run {
          begun.signal()
          gates.1.waitBlocking()
          return try loop.runBlocking { _ in await pool.shutdown() }
        }
      }
      try await begun.wait(times: 2)
      gates.0.signal()
      await expectEventually { pool.statistics.queued == 1 }
      gates.1.signal()
      try await expectCode(.poolClosed) { _ = try await nests.value }
      _ = try await ends.value
      #expect(pool.statistics.queued == 0)
    }
  }

  @Test func `C-48 a lower limit that leaves no place for what a call waits for refuses that`() async throws {
    try await withTestLoop { loop, _ in
      let lane = try OffloadLane(limit: 2)
      let (begun, gate, other) = (Event("two calls"), Event("the nested call"), Event("the other call"))
      let nests = Task {
        try await loop.offload(in: lane) {
          begun.signal()
          gate.waitBlocking()
          return try loop.runBlocking { loop in try await loop.offload(in: lane, label: "nested") { 1 } }
        }
      }
      let holds = Task {
        try await loop.offload(in: lane) {
          begun.signal()
          other.waitBlocking()
        }
      }
      try await begun.wait(times: 2)
      gate.signal()
      await expectEventually { lane.statistics.queued == 1 }
      try lane.setLimit(1)
      other.signal()
      try await holds.value
      try await expectCode(.wouldDeadlock) { _ = try await nests.value }
    }
  }

  @Test(arguments: [true, false])
  func `C-52 a hook that shuts its own pool down and waits is refused`(isStart: Bool) async throws {
    let found = Shared<UVError.Code?>(nil)
    let (pool, ready) = (Shared<OffloadPool?>(nil), Event("the pool"))
    let hook: @Sendable () -> Void = {
      ready.waitBlocking()
      guard let pool = pool.value else { return }
      found.update { code in code = (try? errorCode { _ = try pool.shutdownBlocking() }) ?? nil }
    }
    let made = try OffloadPool(
      threads: 1, onThreadStart: isStart ? hook : nil, onThreadEnd: isStart ? nil : hook)
    pool.update { $0 = made }
    ready.signal()
    try await made.run {}
    let report = await made.shutdown(within: .seconds(60))
    pool.update { $0 = nil }
    #expect(found.value == .wouldDeadlock && report.unfinished.isEmpty)
  }

  @Test(arguments: [1, 2])
  func `C-52 a start hook may wait for its own pool, where there is another thread`(threads: Int) async throws {
    let (pool, ready) = (Shared<OffloadPool?>(nil), Event("the pool"))
    let (isFirst, found) = (Counter(), Shared<UVError.Code?>(nil))
    let made = try OffloadPool(
      threads: threads,
      onThreadStart: {
        ready.waitBlocking()
        isFirst.add()
        if isFirst.value > 1 { return }
        guard let pool = pool.value else { return }
        found.update { code in code = (try? errorCode { try pool.runBlocking {} }) ?? nil }
      })
    pool.update { $0 = made }
    ready.signal()
    try await made.run {}
    #expect(found.value == (threads == 1 ? .wouldDeadlock : nil))
    pool.update { $0 = nil }
    await made.shutdown()
  }

  @Test func `C-52 a start hook that never ends keeps nobody from another thread`() async throws {
    let (begun, gate) = (Event("the hook"), Event("its end"))
    let pool = try OffloadPool(
      threads: 8,
      onThreadStart: {
        if begun.hasHappened { return }
        begun.signal()
        gate.waitBlocking(within: .seconds(60))
      })
    let first = Task { try await pool.run { 1 } }
    try await begun.wait()
    for number in 0..<10 { #expect(try await pool.run { number } == number) }
    #expect(try await first.value == 1)
    gate.signal()
    await pool.shutdown()
  }

  @Test func `C-27 a thread that cannot be made leaves what waits to those that there are`() async throws {
    try await withTestLoop { loop, _ in
      let starts = Counter()
      let pool = try OffloadPool(
        threads: 2,
        onThreadStart: {
          starts.add()
          if starts.value > 1 { throw Broken() }
        })
      let gate = Event("what the first call waits for")
      // It blocks, but not for anything of the pool's.
      let first = Task { try await pool.run { try loop.runBlocking { _ in try await gate.wait() } } }
      await expectEventually { pool.statistics.running == 1 }
      let second = Task { try await pool.run { 2 } }
      await expectEventually { starts.value == 2 && pool.statistics.threads == 1 }
      #expect(pool.statistics.queued == 1)
      gate.signal()
      #expect(try await second.value == 2)
      try await first.value
      await pool.shutdown()
    }
  }

  @Test func `C-27 a call from inside another one gets the thread that could not be made before`() async throws {
    let starts = Counter()
    let pool = try OffloadPool(
      threads: 2,
      onThreadStart: {
        starts.add()
        if starts.value == 2 { throw Broken() }
      })
    await #expect(throws: Broken.self) { try await pool.run { try pool.runBlocking { 1 } } }
    #expect(try await pool.run { try pool.runBlocking { 2 } } == 2)
    await pool.shutdown()
  }

  private struct Broken: Error {}

  // More memory than any process may have.
  private static let tooLarge = 1 << 46

  @Test func `C-27 a system that makes no thread refuses the call, and the next one tries again`() async throws {
    let pool = try OffloadPool(threads: 2, stackSize: Self.tooLarge)
    for _ in 1...2 {
      try await expectCode(.resourceTemporarilyUnavailable) { try await pool.run {} }
    }
    let closure = Event("a closure")
    try pool.submit(label: "late") { closure.signal() }
    await expectEventually { pool.statistics.queued == 0 }
    let report = await pool.shutdown()
    #expect(!closure.hasHappened && report.unfinished.map(\.label) == ["late"])
  }

  @Test func `C-38 a system that makes no thread refuses the actors' thread`() throws {
    try expectCode(.resourceTemporarilyUnavailable) { _ = try OffloadThread(stackSize: Self.tooLarge) }
  }
}
