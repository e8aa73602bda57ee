import Testing

@testable import UVLoop

/// How many jobs of the loop it takes to go on where one is.
@Suite(.sideBySide) struct LoopExecutorsTests {
  private actor Meter: LoopActor {
    nonisolated let loop: EventLoop
    private var beats = 0
    init(on loop: EventLoop) { self.loop = loop }

    func beat() { beats += 1 }

    func beat(_ count: Int, _ other: Meter) async {
      for _ in 0..<count { await other.beat() }
    }

    /// What it takes after a while in a body that prefers the loop.
    func beatAfterRun(_ other: Meter) async throws -> Int {
      try await loop.run { loop in
        try await loop.sleep(for: .zero)
        await other.beat()
      }
      await other.beat()
      return await loop.probe.jobs { await beat(100, other) }
    }
  }

  @Test func `calls between actors of the loop take no job`() async throws {
    try await onTestLoop { loop, calls in
      let meter = Meter(on: loop)
      #expect(await loop.probe.jobs { for _ in 0..<100 { await meter.beat() } } == 0)
    }
  }

  @Test func `a task that was resumed at a continuation settles after one call`() async throws {
    try await onTestLoop { loop, calls in
      let meter = Meter(on: loop)
      for isFromAfar in [true, false] {
        await withCheckedContinuation { continuation in
          if isFromAfar { Task.detached { continuation.resume() } } else { continuation.resume() }
        }
        await meter.beat()
        #expect(await loop.probe.jobs { for _ in 0..<100 { await meter.beat() } } == 0)
      }
    }
  }

  @Test func `a task that ceases to prefer the loop settles after one call`() async throws {
    try await withTestLoop { loop, calls in
      let count = try await Task.detached { try await Meter(on: loop).beatAfterRun(Meter(on: loop)) }.value
      #expect(count == 0)
    }
  }

  @Test func `an offloaded call takes one job of a task of the loop`() async throws {
    try await onTestLoop { loop, calls in
      let count = try await loop.probe.jobs { for _ in 0..<100 { try await loop.offload {} } }
      // The pool sends messages of its own, a few.
      #expect((100...110).contains(count))
    }
  }

  @Test func `a sleep takes one job, of whatever task`() async throws {
    try await onTestLoop { loop, calls in
      let isolated = try await loop.probe.jobs { for _ in 0..<100 { try await loop.sleep(for: .zero) } }
      #expect(isolated == 100)
      let preferring = Task(executorPreference: loop.taskExecutor) {
        try await loop.probe.jobs { for _ in 0..<100 { try await loop.sleep(for: .zero) } }
      }
      #expect(try await preferring.value == 100)
    }
  }

  @Test func `code of no actor takes one job to an actor and one back, through however much of it`() async throws {
    try await withTestLoop { loop, calls in
      let meter = Meter(on: loop)
      @concurrent func reach() async { await meter.beat() }
      let task = Task(executorPreference: loop.taskExecutor) {
        let direct = await loop.probe.jobs { for _ in 0..<100 { await meter.beat() } }
        return (direct, await loop.probe.jobs { for _ in 0..<100 { await reach() } })
      }
      #expect(await task.value == (200, 200))
    }
  }

  @Test func `isolated code takes one job to code of no actor and one back, however much of it`() async throws {
    try await onTestLoop { loop, calls in
      @concurrent func leaf() async { calls.mark("leaf") }
      @concurrent func branch() async { for _ in 0..<10 { await leaf() } }
      @concurrent func sleep() async throws { for _ in 0..<10 { try await loop.sleep(for: .zero) } }
      calls.expect("leaf", 1_100)
      #expect(await loop.probe.jobs { for _ in 0..<100 { await leaf() } } == 200)
      #expect(await loop.probe.jobs { for _ in 0..<100 { await branch() } } == 200)
      let sleeps = try await loop.probe.jobs { for _ in 0..<10 { try await sleep() } }
      #expect(sleeps == 120)
    }
  }

  @Test func `tasks that are woken in order and do the same stay in order`() async throws {
    try await onTestLoop { loop, calls in
      @Sendable @concurrent func step() async { calls.mark("step") }
      let waits = [loop.testWait(), loop.testWait()]
      let order = Shared<[String]>([])
      let tasks = waits.indices.map { index in
        loop.task { loop in
          // What one did before does not count.
          if index == 0 { await step() }
          calls.mark("waits")
          _ = try await waits[index].value("test")
          order.update { $0.append("woken \(index)") }
          await step()
          order.update { $0.append("done \(index)") }
        }
      }
      (0..<2).forEach { _ in calls.expect("waits") }
      calls.expect("step", 3)
      while calls.count("waits") < 2 { try await loop.sleep(for: .zero) }
      for wait in waits { wait.resume(returning: 0) }
      for task in tasks { try await task.value }
      #expect(order.value == ["woken 0", "woken 1", "done 0", "done 1"])
    }
  }

  @Test func `code of no actor that goes to no actor takes no job`() async throws {
    try await withTestLoop { loop, calls in
      @concurrent func step() async { calls.mark("step") }
      calls.expect("step", 1_000)
      let task = Task(executorPreference: loop.taskExecutor) {
        await loop.probe.jobs { for _ in 0..<1_000 { await step() } }
      }
      #expect(await task.value == 0)
    }
  }
}
