import Testing

@testable import UVLoop

@Suite(.sideBySide) struct GateTests {
  @Test(arguments: [Gate.Outcome.passed, .cancelled, .closed])
  func `a gate that was fired before lets its task pass, and tells how`(outcome: Gate.Outcome) async throws {
    try await onTestLoop { loop, calls in
      let gate = Gate(on: loop.core)
      #expect(gate.outcome == nil)
      #expect(gate.fire(outcome))
      await gate.pass()
      #expect(gate.outcome == outcome)
      #expect(loop.isCurrent)
    }
  }

  @Test func `a gate keeps its task until it is fired`() async throws {
    try await onTestLoop { loop, calls in
      let gate = Gate(on: loop.core)
      let task = loop.task { loop in
        calls.mark("waits")
        await gate.pass()
        calls.mark("passed")
      }
      while calls.count("waits") == 0 { try await loop.sleep(for: .zero) }
      try await turn(loop)
      #expect(calls.log == ["waits"])
      gate.fire(.passed)
      await task.value
      #expect(calls.log == ["waits", "passed"])
    }
  }

  @Test func `only the first firing of a gate counts`() async throws {
    try await withTestLoop { loop, calls in
      let gate = Gate(on: loop.core)
      #expect(gate.fire(.cancelled))
      #expect(!gate.fire(.passed))
      #expect(!gate.fire(.closed))
      #expect(gate.outcome == .cancelled)
    }
  }

  @Test func `D-05 100 gates fired on the loop cause no wake in a task of the loop`() async throws {
    try await onTestLoop { loop, calls in
      let before = loop.core.inbox.counts
      for _ in 0..<100 {
        let gate = Gate(on: loop.core)
        try loop.post { gate.fire(.passed) }
        await gate.pass()
        #expect(loop.isCurrent)
      }
      #expect(loop.core.inbox.counts == before)
    }
  }

  @Test func `F-08 of firings that race on many threads one counts, and the task passes once`() async throws {
    try await withTestLoop { loop, calls in
      let (winners, passed) = (Counter(), Counter())
      for round in 0..<300 {
        let gate = Gate(on: loop.core)
        let pass: @Sendable () async -> Void = {
          await gate.pass()
          passed.add()
        }
        let waiter = round % 2 == 0 ? loop.task { _ in await pass() } : Task.detached { await pass() }
        await withTaskGroup(of: Void.self) { group in
          for outcome in [Gate.Outcome.passed, .cancelled, .closed] {
            group.addTask { if gate.fire(outcome) { winners.add() } }
          }
          group.addTask { try? loop.post { if gate.fire(.passed) { winners.add() } } }
        }
        await waiter.value
      }
      await loop.run { _ in }
      #expect(winners.value == 300)
      #expect(passed.value == 300)
    }
  }

  @Test func `a gate that is dropped without a task holds nothing`() async throws {
    try await withTestLoop { loop, calls in
      weak var observed: Gate?
      do {
        let gate = Gate(on: loop.core)
        observed = gate
        #expect(observed?.fire(.passed) == true)
      }
      #expect(observed == nil)
    }
  }
}
