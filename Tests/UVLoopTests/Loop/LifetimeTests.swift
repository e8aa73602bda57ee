import Testing

@testable import UVLoop

/// What keeps a loop, and what a loop keeps.
@Suite(.alone) struct LifetimeTests {
  // MARK: G-13, G-14: dropped without shutdown. What that prints is read from a process of its own.

  private func linesOfOurs(_ result: ExitTest.Result?) -> [String] {
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    return text.split(separator: "\n").map(String.init).filter { $0.contains("UVLoop:") }
  }

  @Test func `G-13 dropping the last reference ends the thread and says so in one line`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      var loop: EventLoop? = try EventLoop(.init(name: "forgotten"))
      let thread = try #require(loop?.thread)
      loop = nil
      await expectThreadGone(thread)
    }
    let lines = linesOfOurs(result)
    #expect(lines.count == 1)
    #expect(lines.first?.contains("\"forgotten\"") == true)
    #expect(lines.first?.contains("without shutdown") == true)
  }

  @Test func `G-13 a loop that was shut down is dropped in silence`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      var loop: EventLoop? = try EventLoop(.init(name: "ended"))
      await loop?.shutdown()
      loop = nil
      try await withEventLoop { loop in try await loop.sleep(for: .zero) }
    }
    #expect(linesOfOurs(result) == [])
  }

  @Test func `G-13 a loop that lives at the exit of the process prints nothing`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let loop = try EventLoop(.init(name: "alive"))
      await loop.run { _ in }
      _ = unsafe Unmanaged.passRetained(loop)
    }
    #expect(linesOfOurs(result) == [])
  }

  @Test func `G-13 a dropped loop frees its core, with handles and scheduled calls on it`() async throws {
    await #expect(processExitsWith: .success) {
      let released = Event("the release of the captures")
      var loop: EventLoop? = try EventLoop()
      let (core, thread) = try (WeakCore(of: #require(loop)), #require(loop).thread)
      try await loop?.run { loop in
        let timer = try TimerHandle()
        let witness = ReleaseWitness(released)
        try timer.start(after: .zero, repeating: .milliseconds(1)) { witness.touch() }
        try loop.schedule(after: .seconds(3_600)) { withExtendedLifetime((timer, witness)) {} }
      }
      loop = nil
      let isFreed = await eventually { core.isFreed }
      #expect(isFreed)
      try await released.wait()
      // Until then its last memory may be on its way back, which is a leak to who looks at the exit.
      await expectThreadGone(thread)
    }
  }

  @Test func `G-13 work accepted before the drop still runs`() async throws {
    await #expect(processExitsWith: .success) {
      let ran = Counter()
      var loop: EventLoop? = try EventLoop()
      let (core, thread) = try (WeakCore(of: #require(loop)), #require(loop).thread)
      for _ in 0..<1_000 { try loop?.post { ran.add() } }
      loop = nil
      let isFreed = await eventually { core.isFreed }
      #expect(isFreed)
      #expect(ran.value == 1_000)
      await expectThreadGone(thread)
    }
  }

  @Test func `G-14 the last reference may be dropped on the loop's own thread`() async throws {
    await #expect(processExitsWith: .success) {
      let go = Event("everybody else has let go")
      let dropped = Event("the drop")
      var loop: EventLoop? = try EventLoop()
      let thread = try #require(loop?.thread)
      let core = try WeakCore(of: #require(loop))
      try loop?.post { [loop] in
        go.waitBlocking()
        #expect(loop?.isCurrent == true)
        dropped.signal()
      }
      loop = nil
      go.signal()
      try await dropped.wait()
      await expectThreadGone(thread)
      let isFreed = await eventually { core.isFreed }
      #expect(isFreed)
    }
  }

  @Test func `G-14 the last reference may be dropped on MainActor`() async throws {
    await #expect(processExitsWith: .success) {
      let (thread, core) = try await MainActor.run {
        let loop = try EventLoop()
        return (loop.thread, WeakCore(of: loop))
      }
      await expectThreadGone(thread)
      let isFreed = await eventually { core.isFreed }
      #expect(isFreed)
    }
  }

  @Test func `G-14 the last reference may be dropped on a worker of the pool and on another loop`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop("other") { other, _ in
        let threads = [
          try EventLoop(.init(name: "dropped on a loop")).thread,
          try await other.offload { try EventLoop(.init(name: "dropped on a worker")).thread },
        ]
        for thread in threads { await expectThreadGone(thread) }
        #expect(other.isCurrent)
      }
    }
  }

  // MARK: G-15

  private actor Meter: LoopActor {
    nonisolated let loop: EventLoop
    private var timer: TimerHandle?
    private var wake: AsyncHandle?
    private var beats = 0

    init(_ loop: EventLoop) { self.loop = loop }

    func start(_ witness: ReleaseWitness) throws {
      let timer = try TimerHandle()
      try timer.start(after: .zero, repeating: .milliseconds(1)) {
        self.beats += 1
        witness.touch()
      }
      wake = try AsyncHandle {
        self.beats += 1
        witness.touch()
      }
      try loop.schedule(after: .seconds(3_600)) {
        self.beats += 1
        witness.touch()
      }
      try loop.onShutdown { witness.touch() }
      self.timer = timer
    }

    func stopCallingYourself() { wake = nil }
  }

  @Test func `G-15 after shutdown nothing keeps the loop, its core, its actors or what their callbacks captured`()
    async throws
  {
    let released = Event("the release of the captures")
    var loop: EventLoop? = try EventLoop()
    let core = try WeakCore(of: #require(loop))
    weak let weakLoop = loop
    var meter: Meter? = Meter(try #require(loop))
    weak let weakMeter = meter
    try await meter?.start(ReleaseWitness(released))
    await loop?.shutdown()
    try await released.wait()
    meter = nil
    loop = nil
    #expect(await eventually { weakMeter == nil })
    #expect(await eventually { weakLoop == nil })
    #expect(await eventually { core.isFreed })
  }

  @Test func `G-15 a closure that was posted is released before shutdown returns`() async throws {
    try await withTestLoop { loop, _ in
      let released = Event("the release of the captures")
      do {
        let witness = ReleaseWitness(released)
        try loop.post { witness.touch() }
      }
      await loop.shutdown()
      #expect(released.hasHappened)
    }
  }

  @Test func `G-15 a clock, ticks, a sender and an executor keep no EventLoop`() async throws {
    var loop: EventLoop? = try EventLoop()
    weak let weakLoop = loop
    let clock = try #require(loop?.clock)
    let ticks = try #require(try loop?.ticks(every: .seconds(1)))
    let executor = try #require(loop?.taskExecutor)
    let sender = try await loop?.run { _ in try AsyncHandle {}.sender }
    await loop?.shutdown()
    loop = nil
    #expect(await eventually { weakLoop == nil })
    #expect(clock.now <= clock.now)
    #expect(sender?.send() == false)
    #expect(await codeOfError { for try await _ in ticks {} } == .loopClosed)
    #expect(await Task(executorPreference: executor) { 7 }.value == 7)
  }
}
