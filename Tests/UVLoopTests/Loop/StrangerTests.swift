import Testing

@testable import UVLoop

/// Actors that name a loop and do not run there.
@Suite(.alone) struct StrangerTests {
  /// Every call that takes the isolation of its caller.
  enum Call: String, CaseIterable, Sendable {
    case timer = "TimerHandle.init"
    case async = "AsyncHandle.init"
    case poll = "PollHandle.init"
    case signal = "SignalHandle.init"
    case promise = "Promise.init"
    case scheduleAfter = "schedule"
    case scheduleAt = "schedule at a moment"
    case onShutdown
  }

  @Test(arguments: Call.allCases)
  func `A-19 an actor with an executor of its own is refused on the loop's thread, with what to do instead`(
    _ call: Call
  ) async throws {
    try await withTestLoop("kitchen") { loop, _ in
      let stranger = Stranger(claiming: loop)
      // In a task that prefers the loop the actor runs on its thread.
      let task = Task(executorPreference: loop.taskExecutor) { await stranger.error(of: call) }
      let (isCurrent, error) = await task.value
      #expect(isCurrent)
      expectRefusal(error, call == .scheduleAt ? "schedule" : call.rawValue)
    }
  }

  @Test func `A-19 post refuses an actor with an executor of its own`() async throws {
    try await withTestLoop("kitchen") { loop, calls in
      let stranger = Stranger(claiming: loop)
      let error = #expect(throws: UVError.self) { try stranger.post { _ in calls.mark("ran") } }
      expectRefusal(error, "post")
      try await iterate(loop)
      #expect(calls.log.isEmpty)
    }
  }

  @Test func `A-19 withUnsafeLoop traps for an actor with an executor of its own`() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let loop = try EventLoop(.init(name: "kitchen"))
      let stranger = Stranger(claiming: loop)
      await Task(executorPreference: loop.taskExecutor) { await stranger.borrow() }.value
    }
    let text = try #require(result).standardErrorText
    #expect(text.contains("UVLoop: Stranger names loop \"kitchen\", and does not run there."))
  }

  @Test func `A-19 post refuses an actor whose loop is another at each look`() async throws {
    try await withTestLoop("near") { near, calls in
      try await withTestLoop("far") { far, _ in
        let wanderer = Wanderer(near, far)
        let error = #expect(throws: UVError.self) { try wanderer.post { _ in calls.mark("ran") } }
        #expect(error?.code == .notOnLoop)
        try await iterate(near)
        try await iterate(far)
        #expect(calls.log.isEmpty)
      }
    }
  }

  @Test func `A-19 post refuses an actor whose loop is a temporary`() async throws {
    // The loops that it names are dropped, and each says so.
    await #expect(processExitsWith: .success) {
      let error = #expect(throws: UVError.self) { try Spendthrift().post { _ in fatalError("it ran") } }
      #expect(error?.code == .notOnLoop)
    }
  }

  @Test func `A-19 an actor that takes its executor from its loop is at home`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("posted")
      let lodger = Lodger(on: loop)
      try lodger.post { _ in calls.mark("posted") }
      #expect(try await lodger.makesTimer())
    }
  }
}

private func expectRefusal(_ error: UVError?, _ call: String, _ location: SourceLocation = #_sourceLocation) {
  #expect(error?.code == .notOnLoop, sourceLocation: location)
  #expect(error?.call == call, sourceLocation: location)
  let message = error?.message ?? ""
  #expect(message.contains("Stranger names loop \"kitchen\", and does not run there."), sourceLocation: location)
  #expect(message.contains("Declare the conformance with the actor"), sourceLocation: location)
}

/// Says that it lives on a loop, and runs where another actor does.
private actor Stranger: LoopActor {
  private actor Home {}

  nonisolated let loop: EventLoop
  private let home = Home()

  init(claiming loop: EventLoop) { self.loop = loop }

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe home.unownedExecutor }

  /// Whether it ran on the loop's thread, and what the call threw there.
  func error(of call: StrangerTests.Call) -> (Bool, UVError?) {
    do throws(UVError) {
      try make(call)
      return (loop.isCurrent, nil)
    } catch {
      return (loop.isCurrent, error)
    }
  }

  private func make(_ call: StrangerTests.Call) throws(UVError) {
    switch call {
    case .timer: _ = try TimerHandle()
    case .async: _ = try AsyncHandle { _ = self }
    case .poll: _ = try PollHandle(descriptor: 0)
    case .signal: _ = try SignalHandle(.windowChange)
    case .promise: _ = try Promise<Int>()
    case .scheduleAfter: try loop.schedule(after: .seconds(1_000)) { _ = self }
    case .scheduleAt: try loop.schedule(at: loop.clock.now) { _ = self }
    case .onShutdown: try loop.onShutdown { _ = self }
    }
  }

  func borrow() { unsafe loop.withUnsafeLoop { _ = unsafe $0 } }
}

/// Names two loops in turn.
private actor Wanderer: LoopActor {
  private nonisolated let loops: (EventLoop, EventLoop)
  private nonisolated let looks = Counter()

  init(_ first: EventLoop, _ second: EventLoop) { loops = (first, second) }

  nonisolated var loop: EventLoop { looks.add() % 2 == 0 ? loops.0 : loops.1 }
}

/// Names a new loop each time.
private actor Spendthrift: LoopActor {
  nonisolated var loop: EventLoop {
    do { return try EventLoop() } catch { fatalError("\(error)") }
  }
}

/// Says itself what the protocol would say.
private actor Lodger: LoopActor {
  nonisolated let loop: EventLoop

  init(on loop: EventLoop) { self.loop = loop }

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.unownedExecutor }

  func makesTimer() throws -> Bool {
    try TimerHandle().close()
    return loop.isCurrent
  }
}
