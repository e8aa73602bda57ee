import Testing

@testable import UVLoop

@Suite(.sideBySide) struct WaitScopeTests {
  @Test func `a task of the loop, a run that may wait and a limit bring a scope`() async throws {
    try await withTestLoop { loop, calls in
      #expect(await loop.task { $0.probe.hasScope }.value)
      #expect(
        await loop.run { loop in
          await Task.yield()
          return loop.probe.hasScope
        })
      let isLimited = try await Task {
        try await loop.run { loop in
          try await loop.withTimeout(.seconds(60)) { loop.probe.hasScope }
        }
      }.value
      #expect(isLimited)
    }
  }

  @Test func `a wait that has ended before it begins is not kept by the scope`() async throws {
    try await withTestLoop { loop, calls in
      let gone = Counter()
      try await loop.task { loop in
        try await Self.waitForWhatHasCome(on: loop, Witness(gone))
        #expect(gone.value == 1)
      }.value
    }
  }

  private static func waitForWhatHasCome(on loop: isolated EventLoop, _ witness: consuming Witness) async throws {
    let wait = loop.probe.wait(owner: WitnessOwner(witness))
    wait.resume()
    try await wait.value("test")
  }

  private final class WitnessOwner: WaitOwner {
    private let witness: Witness
    init(_ witness: Witness) { self.witness = witness }
    func begin(_ wait: LoopWait) {}
    func withdraw(_ wait: LoopWait) {}
  }

  @Test func `a plain task has none, and the synchronous run brings none`() async throws {
    try await withTestLoop { loop, calls in
      #expect(await loop.run { $0.probe.hasScope } == false)
      #expect(await Task { await loop.run { $0.probe.hasScope } }.value == false)
    }
  }

  @Test func `a task that has a scope gets no second one, and each loop has its own`() async throws {
    try await withTestLoop { loop, calls in
      try await withTestLoop("other") { other, _ in
        try await loop.run { loop in
          let scope = try #require(loop.probe.scope)
          await loop.run { loop in
            await Task.yield()
            #expect(loop.probe.scope === scope)
          }
          await other.run { other in
            await Task.yield()
            #expect(other.probe.hasScope)
          }
          #expect(loop.probe.scope === scope)
        }
      }
    }
  }

  @Test func `what a task starts does not have its scope`() async throws {
    try await onTestLoop { loop, calls in
      #expect(loop.probe.hasScope)
      await withTaskGroup(of: Void.self) { group in
        group.addTask { #expect(await loop.run { $0.probe.hasScope } == false) }
      }
      async let child: Void = { #expect(await loop.run { $0.probe.hasScope } == false) }()
      await child
      // On the spot, inside the job of the one that starts it.
      await Task.immediate { #expect(!loop.probe.hasScope) }.value
      await Task { #expect(!loop.probe.hasScope) }.value
      #expect(loop.probe.hasScope)
    }
  }

  @Test func `a cancellation ends the wait of its task and no other, with a scope and without`() async throws {
    try await onTestLoop { loop, calls in
      for _ in 0..<20 {
        let waiting = Counter()
        let outer = loop.task { loop in
          // Runs in the job of the outer task, and waits on its own.
          let inner = Task.immediate {
            waiting.add()
            try await loop.sleep(for: .seconds(3_600))
          }
          waiting.add()
          do {
            try await loop.sleep(for: .seconds(3_600))
            Issue.record("the sleep ended")
          } catch is CancellationError {}
          return inner
        }
        while waiting.value < 2 { try await loop.sleep(for: .zero) }
        try await iterate(loop)
        outer.cancel()
        let inner = try await outer.value
        try await iterate(loop)
        #expect(loop.probe.timers == 1, "the inner task still sleeps")
        inner.cancel()
        await #expect(throws: CancellationError.self) { try await inner.value }
        #expect(loop.probe.timers == 0)
      }
    }
  }

  /// All of them take memory of one size, so that the allocator gives one the address of another.
  private static func start(
    on loop: EventLoop, opensScope: Bool, _ body: @Sendable @escaping () async throws -> Void
  ) -> Task<Void, any Error> {
    Task(executorPreference: loop.taskExecutor) {
      if !opensScope { return try await body() }
      var result = Result<Void, any Error>.success(())
      await loop.probe.inScope {
        do { try await body() } catch { result = .failure(error) }
      }
      try result.get()
    }
  }

  @Test(.disabled(if: Sanitizer.isAddress, "it keeps addresses from being used again"))
  func `a scope is over before the address of its task is used again`() async throws {
    try await withTestLoop { loop, calls in
      let addresses = Shared<Set<UInt>>([])
      let recycled = Counter()
      for _ in 0..<100 {
        // It inherits the scope, and starts others when its maker has gone.
        let heir = Shared<Task<Void, any Error>?>(nil)
        let makerHasGone = Event("the end of the maker")
        do {
          let maker = Self.start(on: loop, opensScope: true) {
            #expect(loop.probe.hasScope)
            addresses.update { _ = $0.insert(WaitScope.currentTask) }
            heir.value = Task {
              try await makerHasGone.wait()
              for _ in 0..<4 {
                let task = Self.start(on: loop, opensScope: false) {
                  if addresses.value.contains(WaitScope.currentTask) { recycled.add() }
                  #expect(!loop.probe.hasScope)
                  // Were the scope taken for this task's, its cancellation would be nobody's.
                  try await loop.sleep(for: .seconds(3_600))
                }
                await loop.run { _ in }
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
              }
            }
          }
          try await maker.value
        }
        makerHasGone.signal()
        try await heir.value?.value
      }
      #expect(recycled.value > 0, "no address was used again, and nothing was shown")
    }
  }

  @Test func `F-08 cancellations that race with the beginning and the end of waits are never lost`() async throws {
    try await withTestLoop { loop, calls in
      for round in 0..<500 {
        let task = loop.task { loop in
          while true { try await loop.sleep(for: round % 3 == 0 ? .seconds(3_600) : .zero) }
        }
        if round % 2 == 0 { await Task.yield() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
      }
    }
  }
}
