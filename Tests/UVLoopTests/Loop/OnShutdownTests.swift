import Testing

@testable import UVLoop

@Suite(.sideBySide) struct OnShutdownTests {
  private actor Registrar: LoopActor {
    nonisolated let loop: EventLoop

    init(on loop: EventLoop) { self.loop = loop }

    func register() throws { try loop.onShutdown {} }
  }

  @Test func `K-17 onShutdown bodies run on the loop, once, last in, first out`() async throws {
    try await withTestLoop { loop, calls in
      try await loop.run { loop in
        for name in ["first", "second", "third"] {
          calls.expect(name)
          try loop.onShutdown {
            #expect(loop.isCurrent)
            calls.mark(name)
          }
        }
      }
      #expect(calls.log.isEmpty)
      await loop.shutdown()
      await loop.shutdown()
      #expect(calls.log == ["third", "second", "first"])
    }
  }

  @Test func `K-17 onShutdown bodies run after the loop's tasks have ended and before its handles close`() async throws
  {
    try await withTestLoop { loop, calls in
      let began = Event("the task")
      let task = loop.task { loop in
        began.signal()
        try? await loop.sleep(for: .seconds(3_600))
        // Takes a while, cancelled as it is.
        for _ in 0..<20 { await Task.yield() }
        calls.mark("task")
      }
      try await began.wait()
      try await loop.run { loop in
        let timer = try TimerHandle()
        try timer.start(after: .seconds(60)) {}
        try loop.onShutdown { calls.mark(timer.isClosed ? "closed" : "open") }
        calls.mark("registered")
      }
      await loop.shutdown()
      await task.value
      #expect(calls.log == ["registered", "task", "open"])
    }
  }

  @Test func `K-17 a handle that is closed in an onShutdown body is closed once`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body")
      let handles = try await loop.run { loop in
        let timer = try TimerHandle()
        try loop.onShutdown {
          calls.mark("body")
          timer.close()
        }
        return Transfer(loop.core.handles)
      }.take()
      await loop.shutdown()
      #expect(handles.closed == 1 && handles.freed == 1)
    }
  }

  @Test func `K-17 registering after shutdown throws loopClosed`() async throws {
    try await withTestLoop { loop, calls in
      await loop.shutdown()
      try await expectCode(.loopClosed) { try await Registrar(on: loop).register() }
    }
  }

  @Test func `K-17 registering in an onShutdown body throws loopClosed, and the other bodies still run`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("refused")
      calls.expect("first")
      try await loop.run { loop in
        try loop.onShutdown { calls.mark("first") }
        try loop.onShutdown {
          _ = loop
          do throws(UVError) {
            try loop.onShutdown { calls.mark("late") }
          } catch { calls.mark(error.code == .loopClosed ? "refused" : "\(error)") }
        }
      }
      await loop.shutdown()
      #expect(calls.log == ["refused", "first"])
    }
  }

  @Test func `K-17 onShutdown bodies are released when they have run`() async throws {
    try await withTestLoop { loop, calls in
      let gone = Counter()
      try await loop.run { loop in
        let witness = Witness(gone)
        try loop.onShutdown { witness.hold() }
      }
      #expect(gone.value == 0)
      await loop.shutdown()
      #expect(gone.value == 1)
    }
  }
}
