import Testing

@testable import UVLoop

/// What a loop keeps of its lists after it had very much to do.
@Suite(.alone) struct BurstTests {
  /// Of `most` bytes that something took no more than three quarters are kept. A sanitizer's allocator is not counted.
  private static func expect(
    _ left: Int?, isPartOf most: Int?, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    guard let left, let most, !Sanitizer.isAddress, !Sanitizer.isThread else { return }
    #expect(most > 1_000_000 && left < most / 4 * 3, "\(left) of \(most) bytes", sourceLocation: sourceLocation)
  }

  /// How much more there is than before; nil where the system does not tell.
  private static func growth(since before: Int?) -> Int? {
    before.flatMap { before in Process.allocatedBytes.map { $0 - before } }
  }

  @Test func `E-31 the memory of 100,000 scheduled calls is given back while one still waits`() async throws {
    try await withTestLoop { loop, _ in
      let waiting = try await loop.run { loop in
        Disconnected(try loop.schedule(after: .seconds(3_600)) { _ = loop })
      }
      let before = Process.allocatedBytes
      let most = try await loop.run { loop in
        for _ in 0..<100_000 { try loop.schedule(after: .milliseconds(1)) { _ = loop } }
        return Self.growth(since: before)
      }
      await expectEventually { await loop.run { $0.probe.timers } == 1 }
      Self.expect(Self.growth(since: before), isPartOf: most)
      await loop.run { _ in waiting.take().cancel() }
    }
  }

  @Test func `the list of 20,000 handles is given back while one is still open`() async throws {
    try await onTestLoop { loop, _ in
      let open = try TimerHandle()
      var handles: [TimerHandle] = []
      for _ in 0..<20_000 { handles.append(try TimerHandle()) }
      #expect(loop.probe.handles.room >= 20_000)
      for handle in handles.shuffled() { handle.close() }
      await expectEventually { await loop.run { $0.probe.handles.open } == 1 }
      #expect(loop.probe.handles.room < 10_000)
      open.close()
    }
  }

  @Test func `the table of 20,000 tasks is given back while one still runs, which shutdown cancels`() throws {
    let tasks = LoopTasks(LoopInbox(waker: try LoopWaker(), spin: nil))
    let cancelled = Counter()
    let first = try #require(tasks.register("first", .task))
    tasks.attach(first, job: 1) { cancelled.add() }
    #expect(tasks.name(of: 1) == "first")
    let before = Process.allocatedBytes
    let others = try (0..<20_000).map { number in
      let id = try #require(tasks.register(nil, .task))
      tasks.attach(id, job: UInt(number) + 2) {}
      return id
    }
    let most = Self.growth(since: before)
    for id in others.shuffled() { tasks.unregister(id) }
    Self.expect(Self.growth(since: before), isPartOf: most)
    #expect(tasks.awaited.oldestFirst.map(\.name) == ["first"] && tasks.name(of: 1) == "first")
    #expect(tasks.name(of: 2) == nil)
    tasks.cancelAll()
    #expect(cancelled.value == 1)
  }
}
