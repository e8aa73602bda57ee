import Testing

@testable import UVLoop

/// What the public base class of all handles promises.
@Suite(.sideBySide) struct LoopHandleTests {
  @Test(arguments: HandleKind.allCases)
  func `K-19 closed waits until libuv has let go of the handle, and closes nothing`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      let handle = try AnyHandle(kind) {}
      try await iterate(loop)
      #expect(!handle.isClosed)
      handle.close()
      #expect(await handle.closed())
      #expect(loop.probe.handles.freed == 1)
      #expect(await handle.closed())
    }
  }

  @Test func `K-19 who waits for the close of an open handle is told when another one closes it, or by cancellation`()
    async throws
  {
    try await onTestLoop { loop, calls in
      let keeper = Keeper(on: loop)
      try await keeper.make()
      let waits = loop.task { _ in await keeper.closed() }
      let gives = loop.task { _ in await keeper.closed() }
      try await iterate(loop)
      gives.cancel()
      #expect(await gives.value == false)
      await keeper.close()
      #expect(await waits.value == true)
    }
  }

  @Test func `K-19 a shutdown ends the wait for the close of an open handle, since its tasks may wait for who waits`()
    async throws
  {
    try await withTestLoop { loop, calls in
      let begun = Event("the wait")
      let task = loop.task { loop in
        let timer = try TimerHandle()
        let inner = Task {
          _ = loop
          begun.signal()
          return await timer.closed()
        }
        return await inner.value
      }
      try await begun.wait()
      let report = await loop.shutdown()
      #expect(report.unfinished.isEmpty)
      #expect(try await task.value == false)
    }
  }

  private actor Keeper: LoopActor {
    nonisolated let loop: EventLoop
    private var handle: TimerHandle?

    init(on loop: EventLoop) { self.loop = loop }

    func make() throws { handle = try TimerHandle() }

    func close() { handle?.close() }

    func closed() async -> Bool? { await handle?.closed() }
  }
}
