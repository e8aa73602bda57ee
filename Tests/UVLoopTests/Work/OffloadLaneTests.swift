import Testing

@testable import UVLoop

/// Calls that hold places of a lane until they are let go.
private final class HeldPlaces: Sendable {
  private let gate = Event("the release of held places")
  private let tasks: [Task<Void, any Error>]

  /// Returns when all of them run.
  init(_ count: Int, of lane: OffloadLane, on loop: EventLoop) async throws {
    let begun = Event("the begin of held places")
    let gate = gate
    tasks = (1...count).map { number in
      Task {
        try await loop.offload(in: lane, label: "holder \(number)") {
          begun.signal()
          gate.waitBlocking(within: .seconds(60))
        }
      }
    }
    try await begun.wait(times: count)
  }

  func release() async throws {
    gate.signal()
    for task in tasks { try await task.value }
  }
}

/// Bounds on one kind of work in libuv's pool.
@Suite(.alone) struct OffloadLaneTests {
  @Test func `C-45 no more calls run than the lane's limit, from all loops together, and the pool stays free`()
    async throws
  {
    let lane = try OffloadLane(name: "disk", limit: 2)
    try await withTestLoop("one") { one, _ in
      try await withTestLoop("two") { two, _ in
        let (running, most) = (Shared(0), Shared(0))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
          for number in 0..<200 {
            tasks.addTask {
              try await (number % 2 == 0 ? one : two).offload(in: lane) {
                let now = running.update {
                  $0 += 1
                  return $0
                }
                most.update { $0 = max($0, now) }
                spin(for: .microseconds(100))
                running.update { $0 -= 1 }
              }
            }
          }
          try await tasks.waitForAll()
        }
        #expect(most.value <= 2)
        let held = try await HeldPlaces(2, of: lane, on: one)
        let waiting = Task { try await two.offload(in: lane) { 7 } }
        await expectEventually { lane.statistics.queued == 1 }
        // Two of the four workers are anybody's.
        #expect(try await one.offload { 3 } == 3)
        #expect(try await two.offload { 4 } == 4)
        #expect(lane.statistics.queued == 1)
        try await held.release()
        #expect(try await waiting.value == 7)
      }
    }
    let done = lane.statistics
    #expect(done.queued == 0 && done.running == 0 && done.jobs.isEmpty && done.oldestQueued == nil)
    #expect(done.waits.count == 203 && done.runs.count == 203)
  }

  @Test func `C-45 places are given in the order of arrival, also to calls of another loop`() async throws {
    let lane = try OffloadLane(limit: 1)
    try await withTestLoop("one") { one, _ in
      try await withTestLoop("two") { two, _ in
        let held = try await HeldPlaces(1, of: lane, on: one)
        let log = Shared<[Int]>([])
        var tasks: [Task<Void, any Error>] = []
        for number in 0..<20 {
          tasks.append(
            Task {
              try await (number % 3 == 0 ? one : two).offload(in: lane, label: "\(number)") {
                log.update { $0.append(number) }
              }
            })
          await expectEventually { lane.statistics.queued == number + 1 }
        }
        let busy = lane.statistics
        #expect(busy.running == 1 && busy.jobs.map(\.label) == ["holder 1"])
        #expect(try #require(busy.oldestQueued) <= busy.jobs[0].age)
        try await held.release()
        for task in tasks { try await task.value }
        #expect(log.value == Array(0..<20))
      }
    }
  }

  @Test func `C-46 a limit can be changed while calls wait and run`() async throws {
    let lane = try OffloadLane(limit: 1)
    try await withTestLoop { loop, _ in
      let held = try await HeldPlaces(1, of: lane, on: loop)
      let (begun, gate) = (Event("more calls"), Event("their end"))
      let tasks = (0..<3).map { _ in
        Task {
          try await loop.offload(in: lane) {
            begun.signal()
            gate.waitBlocking()
          }
        }
      }
      await expectEventually { lane.statistics.queued == 3 }
      try lane.setLimit(2)
      try await begun.wait()
      #expect(lane.limit == 2 && lane.statistics.queued == 2 && lane.statistics.running == 2)
      // Who has a place keeps it.
      try lane.setLimit(1)
      try await held.release()
      #expect(lane.statistics.queued == 2 && lane.statistics.running == 1)
      gate.signal()
      for task in tasks { try await task.value }
      for limit in [0, -1, Int.min] {
        try expectCode(.invalidArgument) { try lane.setLimit(limit) }
        let error = #expect(throws: UVError.self) { try OffloadLane(name: "none", limit: limit) }
        #expect(error?.message.contains("lane \"none\"") == true)
      }
      #expect(lane.limit == 1)
    }
  }

  @Test func `C-47 a call that waits for a place is cancelled and never runs, and the next one gets its turn`()
    async throws
  {
    let lane = try OffloadLane(limit: 1)
    try await withTestLoop { loop, _ in
      let held = try await HeldPlaces(1, of: lane, on: loop)
      let (released, hasRun) = (Event("the release of what it captured"), Shared(false))
      let cancelled = Task {
        let witness = ReleaseWitness(released)
        try await loop.offload(in: lane) {
          witness.touch()
          hasRun.value = true
        }
      }
      await expectEventually { lane.statistics.queued == 1 }
      let next = Task { try await loop.offload(in: lane) { 5 } }
      await expectEventually { lane.statistics.queued == 2 }
      cancelled.cancel()
      try await expectCancelled { try await cancelled.value }
      try await released.wait()
      #expect(lane.statistics.queued == 1)
      try await held.release()
      #expect(try await next.value == 5)
      #expect(!hasRun.value)
    }
  }

  @Test(arguments: [true, false])
  func `C-47 a loop's shutdown waits for its calls in a lane, or refuses them when its time is over`(
    isPatient: Bool
  ) async throws {
    let lane = try OffloadLane(limit: 1)
    try await withTestLoop("other") { other, _ in
      let held = try await HeldPlaces(1, of: lane, on: other)
      let loop = try EventLoop()
      let hasRun = Shared(0)
      let tasks = (0..<3).map { _ in Task { try await loop.offload(in: lane) { hasRun.update { $0 += 1 } } } }
      await expectEventually { lane.statistics.queued == 3 }
      if isPatient {
        let report = Task { await loop.shutdown() }
        await expectEventually { loop.state == .stopping }
        try await held.release()
        #expect(await report.value.unfinished.isEmpty)
        for task in tasks { try await task.value }
        #expect(hasRun.value == 3)
      } else {
        #expect(await loop.shutdown(within: .milliseconds(20)).unfinished.isEmpty)
        for task in tasks { try await expectCode(.loopClosed) { try await task.value } }
        try await held.release()
        #expect(hasRun.value == 0)
      }
      #expect(lane.statistics.queued == 0)
      #expect(try await other.offload(in: lane) { 1 } == 1)
    }
  }

  @Test func `C-48 a call of a lane of one that waits for that lane is refused, and the message says why`()
    async throws
  {
    let lane = try OffloadLane(name: "narrow", limit: 1)
    try await withTestLoop { loop, _ in
      let error = try await loop.offload(in: lane, label: "outer") { () -> UVError? in
        do {
          try loop.runBlocking { loop in try await loop.offload(in: lane, label: "inner") {} }
          return nil
        } catch { return error as? UVError }
      }
      #expect(error?.code == .wouldDeadlock)
      for word in ["\"inner\"", "\"outer\"", "lane \"narrow\"", "raise its limit"] {
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
      }
      // Another one of the lane, that waits for nobody, has a way.
      try lane.setLimit(2)
      let sum = try await loop.offload(in: lane) {
        try loop.runBlocking { loop in try await loop.offload(in: lane) { 1 } } + 1
      }
      #expect(sum == 2)
    }
  }

  @Test func `C-48 a circle over a lane and a pool is refused at its end`() async throws {
    let lane = try OffloadLane(name: "narrow", limit: 1)
    try await withTestLoop { loop, _ in
      try await withOffloadPool(name: "single", threads: 1) { pool in
        let error = try await loop.offload(in: lane, label: "a") {
          try loop.runBlocking { loop in
            try await loop.offload(on: pool, label: "b") { () -> UVError? in
              do {
                try loop.runBlocking { loop in try await loop.offload(in: lane, label: "c") {} }
                return nil
              } catch { return error as? UVError }
            }
          }
        }
        #expect(error?.code == .wouldDeadlock)
        #expect(error?.message.contains("\"c\"") == true)
      }
    }
  }

  @Test(arguments: 0..<4 as Range<UInt64>)
  func `C-49 in a storm of calls that are cancelled, limits that change and loops that end, each ends exactly once`(
    seed: UInt64
  ) async throws {
    var random = SplitMix(seed: seed)
    let lanes = try (1...3).map { try OffloadLane(limit: $0) }
    let (begun, ended, cancelled, refused) = (Counter(), Counter(), Counter(), Counter())
    let loops = try (0..<4).map { _ in try EventLoop() }
    await withTaskGroup { storm in
      for number in 0..<2_000 {
        let (loop, lane) = (loops[number % 4], lanes[number % 3])
        let (isCancelled, limit) = (Bool.random(using: &random), Int.random(in: 1...4, using: &random))
        storm.addTask {
          let task = Task {
            do {
              _ = try await loop.offload(in: lane) { begun.add() }
              ended.add()
            } catch is CancellationError {
              cancelled.add()
            } catch {
              refused.add()
            }
          }
          if isCancelled { task.cancel() }
          if number % 50 == 0 { try? lane.setLimit(limit) }
          if number == 1_200 { await loops[0].shutdown() }
          if number == 1_600 { await loops[1].shutdown(within: .zero) }
          await task.value
        }
      }
    }
    for loop in loops { await loop.shutdown() }
    #expect(begun.value == ended.value)
    #expect(ended.value + cancelled.value + refused.value == 2_000)
    for lane in lanes { #expect(lane.statistics.queued == 0 && lane.statistics.running == 0) }
  }
}
