import Testing

@testable import UVLoop

@Suite(.alone) struct OnShutdownTests {
  private actor Registrar: LoopActor {
    nonisolated let loop: EventLoop

    init(on loop: EventLoop) { self.loop = loop }

    func register() throws { try loop.onShutdown {} }
  }

  private actor Client: LoopActor {
    nonisolated let loop: EventLoop
    private var hook: ShutdownHook?

    init(on loop: EventLoop) { self.loop = loop }

    func begin(_ calls: Calls) throws { hook = try loop.onShutdown { calls.mark("hook") } }
    func end() { hook?.cancel() }
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
        return loop.probe.handles
      }
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

  @Test func `K-18 a hook that was cancelled does not run, and the others keep their order`() async throws {
    for gone in [["1"], ["2"], ["4"], ["1", "4"], ["2", "3"], ["4", "3", "1"], ["1", "2", "3", "4"]] {
      try await withTestLoop { loop, calls in
        try await loop.run { loop in
          var hooks: [String: ShutdownHook] = [:]
          for name in ["1", "2", "3", "4"] { hooks[name] = try loop.onShutdown { calls.mark(name) } }
          for name in gone { hooks[name]?.cancel() }
          // Behind those that are left.
          try loop.onShutdown { calls.mark("5") }
        }
        await loop.shutdown()
        #expect(calls.log == ["5", "4", "3", "2", "1"].filter { !gone.contains($0) })
      }
    }
  }

  @Test func `K-18 to cancel a hook releases its closure, also one that cancels the hook`() async throws {
    try await onTestLoop { loop, calls in
      let gone = Counter()
      let hook = try { () throws(UVError) in
        let witness = Witness(gone)
        return try loop.onShutdown { witness.hold() }
      }()
      #expect(gone.value == 0)
      hook.cancel()
      #expect(gone.value == 1)
      let other = try loop.onShutdown { calls.mark("other") }
      final class Canceller {
        let hook: ShutdownHook
        let gone: Counter
        init(_ hook: ShutdownHook, _ gone: Counter) { (self.hook, self.gone) = (hook, gone) }
        deinit {
          hook.cancel()
          gone.add()
        }
        func hold() {}
      }
      let holder = try { () throws(UVError) in
        let canceller = Canceller(other, gone)
        return try loop.onShutdown { canceller.hold() }
      }()
      calls.expect("other", 0)
      holder.cancel()
      holder.cancel()
      #expect(gone.value == 2)
    }
  }

  @Test func `K-18 dropping a hook cancels nothing`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("hook")
      try await loop.run { loop in
        let hook = try loop.onShutdown { calls.mark("hook") }
        _ = consume hook
      }
    }
  }

  @Test func `K-18 a hook may cancel one that has yet to run, one that has run, and itself`() async throws {
    try await withTestLoop { loop, calls in
      try await loop.run { loop in
        var hooks: [ShutdownHook] = []
        let older = try loop.onShutdown { calls.mark("older") }
        try loop.onShutdown { calls.mark("oldest but one") }
        hooks.append(
          try loop.onShutdown {
            calls.mark("canceller")
            for hook in hooks { hook.cancel() }
            older.cancel()
            hooks = []
          })
        hooks.append(try loop.onShutdown { calls.mark("newest") })
      }
      await loop.shutdown()
      #expect(calls.log == ["newest", "canceller", "oldest but one"])
    }
  }

  @Test func `K-18 to cancel a hook after the loop has ended does nothing`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("hook")
      let client = Client(on: loop)
      try await client.begin(calls)
      await loop.shutdown()
      await client.end()
    }
  }

  @Test func `K-18 to cancel a hook off its loop traps with a sentence`() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let loop = try EventLoop(.init(name: "away"))
      let hook = try await loop.run { loop in Disconnected(try loop.onShutdown {}) }.take()
      hook.cancel()
    }
    let text = result?.standardErrorText ?? ""
    #expect(text.contains("ShutdownHook.cancel was called off its loop. It belongs to loop \"away\""), "\(text)")
  }

  @Test func `K-18 a hundred thousand clients that come and go leave no hook, and one that stays runs`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("stays")
      let gone = Counter()
      try await loop.run { loop in
        try loop.onShutdown { calls.mark("stays") }
        var living: [ShutdownHook] = []
        for number in 0..<100_000 {
          let witness = Witness(gone)
          living.append(try loop.onShutdown { witness.hold() })
          // Those in the middle go first.
          if living.count == 100 { living.remove(at: (number * 7) % 100).cancel() }
        }
        for hook in living { hook.cancel() }
      }
      #expect(gone.value == 100_000)
    }
  }
}
