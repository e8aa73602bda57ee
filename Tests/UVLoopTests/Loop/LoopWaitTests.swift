import Testing

@testable import UVLoop

/// Begins and calls off what a test says.
private final class TestOwner: WaitOwner {
  private let begun: @Sendable (LoopWait) -> Void
  private let calledOff: @Sendable () -> Void

  init(begun: @escaping @Sendable (LoopWait) -> Void, calledOff: @escaping @Sendable () -> Void) {
    self.begun = begun
    self.calledOff = calledOff
  }

  func begin(_ wait: LoopWait) { begun(wait) }
  func withdraw(_ wait: LoopWait) { calledOff() }
}

extension EventLoop {
  /// A wait whose owner does what the test says.
  nonisolated func testWait(
    begun: @escaping @Sendable (LoopWait) -> Void = { _ in }, calledOff: @escaping @Sendable () -> Void = {}
  ) -> LoopWait { probe.wait(owner: TestOwner(begun: begun, calledOff: calledOff)) }
}

@Suite(.sideBySide) struct LoopWaitTests {
  @Test func `a wait that has ended before lets its task go on at once`() async throws {
    try await onTestLoop { loop, calls in
      let wait = loop.testWait()
      #expect(wait.end == nil)
      #expect(wait.resume(returning: 7))
      let jobs = try await loop.probe.jobs {
        let value = try await wait.value("test")
        #expect(value == 7)
      }
      #expect(jobs == 0)
    }
  }

  @Test func `a wait keeps its task until it is resumed`() async throws {
    try await onTestLoop { loop, calls in
      let wait = loop.testWait { _ in calls.mark("begun") }
      let task = loop.task { loop in
        let value = try await wait.value("test")
        calls.mark("passed \(value)")
        #expect(loop.isCurrent)
      }
      while calls.count("begun") == 0 { try await loop.sleep(for: .zero) }
      try await iterate(loop)
      #expect(calls.log == ["begun"])
      wait.resume(returning: 3)
      try await task.value
      #expect(calls.log == ["begun", "passed 3"])
    }
  }

  @Test func `only the first end of a wait counts`() async throws {
    try await onTestLoop { loop, calls in
      let wait = loop.testWait()
      wait.cancel()
      #expect(!wait.resume(returning: 1))
      wait.endClosed()
      #expect(wait.end == .cancelled)
      await #expect(throws: CancellationError.self) { _ = try await wait.value("test") }
    }
  }

  @Test func `a wait that is cancelled or closed is called off at its source once, and one that is resumed is not`()
    async throws
  {
    try await onTestLoop { loop, calls in
      calls.expect("called off", 2)
      for end in [LoopWait.End.cancelled, .closed, .resumed] {
        let wait = loop.testWait(calledOff: { calls.mark("called off") })
        try loop.post {
          switch end {
          case .cancelled: wait.cancel()
          case .closed: wait.endClosed()
          case .resumed: wait.resume(returning: 1)
          }
        }
        _ = try? await wait.value("test")
        #expect(wait.end == end)
      }
    }
  }

  @Test func `a wait off the loop begins on the loop, and may be cancelled before the loop comes to it`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("begun")
      let wait = loop.testWait { wait in
        #expect(loop.isCurrent)
        calls.mark("begun")
        wait.resume(returning: 5)
      }
      let value = try await wait.value("test")
      #expect(value == 5)

      let (isHeld, mayGoOn) = (Event("the loop's thread"), Event("the cancellation"))
      try loop.post {
        isHeld.signal()
        mayGoOn.waitBlocking()
      }
      try await isHeld.wait()
      let cancelled = loop.testWait()
      let task = Task.detached { try await cancelled.value("test") }
      task.cancel()
      mayGoOn.signal()
      await #expect(throws: CancellationError.self) { try await task.value }
      await loop.run { _ in }
    }
  }

  @Test func `D-05 100 waits that are resumed on the loop cause no wake`() async throws {
    try await onTestLoop { loop, calls in
      let traffic = try await loop.probe.traffic {
        for round in 0..<100 {
          let wait = loop.testWait()
          try loop.post { wait.resume(returning: Int64(round)) }
          let value = try await wait.value("test")
          #expect(value == round)
          #expect(loop.isCurrent)
        }
      }
      #expect(traffic == .none)
    }
  }

  @Test func `F-08 of ends that race on many threads one counts, and the task goes on once`() async throws {
    try await withTestLoop { loop, calls in
      let (winners, passed) = (Counter(), Counter())
      for round in 0..<300 {
        let wait = loop.testWait()
        let pass: @Sendable () async -> Void = {
          let value = try? await wait.value("test")
          // A task that is cancelled before it waits does not look at what has come.
          #expect(value == nil ? wait.end != .resumed || Task.isCancelled : wait.end == .resumed)
          passed.add()
        }
        let waiter = round % 2 == 0 ? loop.task { _ in await pass() } : Task.detached { await pass() }
        await withTaskGroup(of: Void.self) { group in
          group.addTask { waiter.cancel() }
          group.addTask { wait.cancel() }
          group.addTask { try? loop.post { if wait.resume(returning: 1) { winners.add() } } }
          group.addTask { try? loop.post { wait.endClosed() } }
        }
        await waiter.value
        #expect(wait.end != nil || waiter.isCancelled)
      }
      await loop.run { _ in }
      #expect(winners.value <= 300)
      #expect(passed.value == 300)
    }
  }

  @Test func `a wait that is dropped without a task holds nothing`() async throws {
    try await onTestLoop { loop, calls in
      weak var observed: LoopWait?
      do {
        let wait = loop.testWait()
        observed = wait
        #expect(observed?.resume(returning: 1) == true)
      }
      #expect(observed == nil)
    }
  }

  @Test func `an owner that waits again gets the same wait`() async throws {
    try await onTestLoop { loop, calls in
      let owner = TestOwner(begun: { $0.resume(returning: $0.argument) }, calledOff: {})
      let kept = loop.probe.renewed(nil, owner: owner)
      for round in 0..<3 as Range<Int64> {
        let wait = loop.probe.renewed(kept, owner: owner, round)
        #expect(wait === kept && wait.end == nil)
        let value = try await wait.value("test")
        #expect(value == round)
      }
    }
  }

  @Test func `an owner gets another wait while a task waits at the last one`() async throws {
    try await onTestLoop { loop, calls in
      let kept = loop.probe.wait(owner: TestOwner(begun: { _ in }, calledOff: {}))
      let task = loop.task { _ in try await kept.value("test") }
      try await iterate(loop)
      let other = loop.probe.renewed(kept, owner: TestOwner(begun: { _ in }, calledOff: {}))
      #expect(other !== kept && other.end == nil && kept.end == nil)
      kept.resume(returning: 7)
      #expect(try await task.value == 7)
    }
  }

  @Test func `an owner gets another wait when a message that ends the last one may come late`() async throws {
    try await onTestLoop { loop, calls in
      let owner = TestOwner(begun: { _ in }, calledOff: {})
      let kept = loop.probe.wait(owner: owner)
      // A task without a scope, cancelled on another thread: its handler tells the loop.
      let task = Task { try await kept.value("test") }
      try await iterate(loop)
      await Task.detached { task.cancel() }.value
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(loop.probe.renewed(kept, owner: owner) !== kept)
    }
  }
}
