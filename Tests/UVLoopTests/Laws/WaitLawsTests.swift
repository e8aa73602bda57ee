import Testing

@testable import UVLoop

/// What holds for everything that a task can wait for on a loop.
@Suite(.alone) struct WaitLawsTests {
  /// With a scope, as a task of the loop has one, and without.
  private static func start(
    _ stage: WaitStage, hasScope: Bool, _ body: @Sendable @escaping () async throws -> Void
  ) -> Task<Void, any Error> {
    hasScope ? stage.loop.task { _ in try await body() } : Task { try await body() }
  }

  private static func onStage(
    _ waiting: Waiting, _ body: (_ loop: EventLoop, _ stage: WaitStage) async throws -> Void
  ) async throws {
    try await withTestLoop(time: .manual) { loop, _ in
      let stage = WaitStage(waiting, on: loop)
      try await stage.prepare()
      // A shutdown would name a call that its caller has abandoned.
      let queue = waiting == .abandonableCall ? await loop.run { $0.probe.offloads } : nil
      do {
        try await body(loop, stage)
      } catch {
        await stage.end()
        throw error
      }
      await stage.end()
      if let queue { await expectEventually { OffloadScheduler.process.calls(of: loop.core, queue).running.isEmpty } }
    }
  }

  private static func waitForBegin(_ stage: WaitStage) async { await expectEventually { await stage.hasBegun } }

  @Test(arguments: Waiting.allCases, [true, false])
  func `F-09 what comes ends the wait`(waiting: Waiting, hasScope: Bool) async throws {
    try await Self.onStage(waiting) { loop, stage in
      let task = Self.start(stage, hasScope: hasScope) { try await stage.wait() }
      await Self.waitForBegin(stage)
      try await stage.complete()
      try await task.value
    }
  }

  @Test(arguments: Waiting.anywhere)
  func `F-09 what comes ends a wait off the loop`(waiting: Waiting) async throws {
    try await Self.onStage(waiting) { loop, stage in
      let task = Task.detached { try await stage.waitHere() }
      if waiting == .offload || waiting == .abandonableCall {
        try await stage.complete()
      } else {
        await Self.waitForBegin(stage)
        try await stage.complete()
      }
      try await task.value
    }
  }

  @Test(arguments: Waiting.allCases, [true, false])
  func `F-09 in a task that is cancelled before it no wait begins`(waiting: Waiting, hasScope: Bool) async throws {
    try await Self.onStage(waiting) { loop, stage in
      let task = Self.start(stage, hasScope: hasScope) {
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        try await stage.wait()
      }
      await #expect(throws: CancellationError.self) { try await task.value }
      await expectNothingLeft(of: loop)
    }
  }

  @Test(arguments: Waiting.cancellable, [true, false])
  func `F-09 cancellation ends the wait, and nothing is left of it`(waiting: Waiting, hasScope: Bool) async throws {
    try await Self.onStage(waiting) { loop, stage in
      let task = Self.start(stage, hasScope: hasScope) { try await stage.wait() }
      await Self.waitForBegin(stage)
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      await expectNothingLeft(of: loop)
      // What comes late finds nobody.
      try await stage.complete()
    }
  }

  @Test(arguments: Waiting.anywhere.filter { $0 != .offload })
  func `F-09 cancellation ends a wait off the loop`(waiting: Waiting) async throws {
    try await Self.onStage(waiting) { loop, stage in
      for round in 0..<20 {
        let task = Task.detached { try await stage.waitHere() }
        if round % 2 == 0 { await loop.run { _ in } }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
      }
      await stage.end()
      await expectNothingLeft(of: loop)
    }
  }

  @Test(arguments: Waiting.allCases, [true, false])
  func `F-09 a cancellation after the end changes nothing`(waiting: Waiting, hasScope: Bool) async throws {
    try await Self.onStage(waiting) { loop, stage in
      let (goesOn, ended) = (Event("the cancellation"), Event("the wait"))
      let task = Self.start(stage, hasScope: hasScope) {
        try await stage.wait()
        ended.signal()
        try await goesOn.wait()
      }
      await Self.waitForBegin(stage)
      try await stage.complete()
      try await ended.wait()
      task.cancel()
      goesOn.signal()
      _ = await task.result
      await expectNothingLeft(of: loop)
    }
  }

  @Test(arguments: Waiting.closable, [true, false])
  func `G-04 a shutdown ends the wait with loopClosed`(waiting: Waiting, hasScope: Bool) async throws {
    try await Self.onStage(waiting) { loop, stage in
      // A task of the loop is cancelled by a shutdown: a scope of `run` is meant here.
      let task = Task {
        if hasScope { try await loop.run { _ in try await stage.wait() } } else { try await stage.wait() }
      }
      await Self.waitForBegin(stage)
      await loop.shutdown()
      #expect(await codeOfError { try await task.value } == .loopClosed)
    }
  }

  @Test(arguments: Waiting.closable)
  func `G-04 on a loop that has ended no wait begins`(waiting: Waiting) async throws {
    try await Self.onStage(waiting) { loop, stage in
      await loop.shutdown()
      #expect(await codeOfError { try await stage.wait() } == .loopClosed)
      if Waiting.anywhere.contains(waiting) {
        #expect(await codeOfError { try await stage.waitHere() } == .loopClosed)
      }
    }
  }

  @Test(arguments: Waiting.allCases)
  func `F-09 a task waits twice, and each wait has its own end`(waiting: Waiting) async throws {
    try await withTestLoop(time: .manual) { loop, _ in
      let stages = [WaitStage(waiting, on: loop), WaitStage(waiting, on: loop)]
      for stage in stages { try await stage.prepare() }
      let ended = Counter()
      let task = loop.task { _ in
        for stage in stages {
          try await stage.wait()
          ended.add()
        }
      }
      for stage in stages {
        await Self.waitForBegin(stage)
        try await stage.complete()
      }
      try await task.value
      #expect(ended.value == 2)
    }
  }

  private func expectNothingLeft(of loop: EventLoop) async {
    await expectEventually {
      await loop.run { loop in
        loop.probe.waits == 0 && loop.probe.timers == 0
          && !loop.probe.hasAwaitedHandle
      }
    }
  }

  @Test func `every wait in the sources names a kind, and the laws hold all of them`() throws {
    var named: Set<String> = []
    for text in try librarySources() {
      for use in text.matches(of: /LoopWait\(\.(\w+)|LoopWait\.renew\([\w.]+, \.(\w+)/) {
        named.insert(String(use.output.1 ?? use.output.2 ?? ""))
      }
    }
    #expect(named == Set(WaitKind.allCases.map(\.rawValue)))
    // Requests have laws of their own, which need the whole pool.
    named.remove("request")
    #expect(named.isSubset(of: Waiting.allCases.map(\.rawValue)))
  }
}
