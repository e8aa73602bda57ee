import Testing

@testable import UVLoop

@Suite(.sideBySide) struct PollHandleWaitTests {
  @Test func `M-15 wait gives what holds, at once and when it comes`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      #expect(try await poll.wait(for: .writable) == .writable)
      #expect(!poll.isActive)
      pair.feed()
      #expect(try await poll.wait(for: [.readable, .writable]) == [.readable, .writable])
      pair.drain()
      try loop.schedule(after: .milliseconds(5)) { pair.feed() }
      #expect(try await poll.wait(for: .readable) == .readable)
      poll.close()
    }
  }

  @Test func `M-15 what comes between two waits is told to the next one`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      for round in 0..<100 {
        pair.feed()
        // Some waits follow at once, and some when libuv watches no more.
        if round % 3 == 0 { try await iterate(loop) }
        #expect(try await poll.wait(for: .readable) == .readable)
        #expect(pair.drain() == 1)
      }
      poll.close()
    }
  }

  @Test func `M-15 nobody waits and the descriptor is ready: the loop does not spin`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      pair.feed()
      #expect(try await poll.wait(for: .readable) == .readable)
      try await iterate(loop)
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(30)) }
      #expect(iterations < 10)
      poll.close()
    }
  }

  @Test func `M-15 after a wait a new handle may watch the number at once`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      pair.feed()
      try await poll.wait(for: .readable)
      let other = try PollHandle(descriptor: pair.watched)
      #expect(try await other.wait(for: .readable) == .readable)
      poll.close()
      other.close()
    }
  }

  @Test(arguments: [true, false])
  func `M-15 a task whose wait was cancelled finds the handle free`(hasScope: Bool) async throws {
    try await withTestLoop { loop, calls in
      let watcher = Watcher(on: loop)
      try await watcher.watch()
      for _ in 0..<200 {
        let task =
          hasScope
          ? loop.task { _ in try await watcher.waitAndStart() } : Task.detached { try await watcher.waitAndStart() }
        await expectEventually { await watcher.isActive }
        task.cancel()
        try await task.value
      }
      await watcher.close()
    }
  }

  private actor Watcher: LoopActor {
    nonisolated let loop: EventLoop
    private let pair = SocketPair()
    private var poll: PollHandle?

    init(on loop: EventLoop) { self.loop = loop }

    func watch() throws { poll = try PollHandle(descriptor: pair.watched) }

    var isActive: Bool { poll?.isActive == true }

    func close() { poll?.close() }

    func waitAndStart() async throws {
      await #expect(throws: CancellationError.self) { try await poll?.wait(for: .readable) }
      #expect(!isActive)
      try poll?.start(for: .readable) { _ in }
      poll?.stop()
    }
  }

  @Test func `M-15 between two waits the number belongs to whoever watches it next`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let (poll, other) = (try PollHandle(descriptor: pair.watched), try Cell(PollHandle(descriptor: pair.watched)))
      pair.feed()
      #expect(try await poll.wait(for: .readable) == .readable)
      // In the very iteration in which the wait ended, when libuv still watches.
      #expect(try await other.value?.wait(for: .readable) == .readable)
      poll.close()
      #expect(try await other.value?.wait(for: .readable) == .readable)
      other.value?.close()
    }
  }

  @Test func `M-16 a wait is ended by the cancellation of its task, and the next one is as good`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let owner = Owner(on: loop)
      try await owner.watch(pair.watched)
      for _ in 0..<3 {
        let task = loop.task { _ in try await owner.wait() }
        try await iterate(loop)
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await iterate(loop)
        #expect(await !owner.isActive)
      }
      pair.feed()
      try await owner.wait()
    }
  }

  @Test func `M-16 stop, close and shutdown end a wait`() async throws {
    try await withTestLoop { loop, calls in
      let pair = SocketPair()
      let owner = Owner(on: loop)
      try await owner.watch(pair.watched)
      let stopped = Task { try await owner.wait() }
      await expectEventually { await owner.isActive }
      await owner.stop()
      await #expect(throws: CancellationError.self) { try await stopped.value }

      let closed = Task { try await owner.wait() }
      await expectEventually { await owner.isActive }
      await owner.close()
      #expect(await codeOfError { try await closed.value } == .handleClosed)
      #expect(await codeOfError { try await owner.wait() } == .handleClosed)

      try await owner.watch(pair.watched)
      let shut = Task { try await owner.wait() }
      await expectEventually { await owner.isActive }
      await loop.shutdown()
      #expect(await codeOfError { try await shut.value } == .loopClosed)
    }
  }

  @Test func `M-16 a second wait, and a start beside a wait, are refused`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let owner = Owner(on: loop)
      try await owner.watch(pair.watched)
      let task = loop.task { _ in try await owner.wait() }
      try await iterate(loop)
      #expect(await codeOfError { try await owner.wait() } == .busy)
      try await expectCode(.busy) { try await owner.start() }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      try await owner.start()
      #expect(await codeOfError { try await owner.wait() } == .busy)
    }
  }

  private actor Owner: LoopActor {
    nonisolated let loop: EventLoop
    private var poll: PollHandle?

    init(on loop: EventLoop) { self.loop = loop }

    func watch(_ descriptor: Int32) throws { poll = try PollHandle(descriptor: descriptor) }

    func wait() async throws { try await poll?.wait(for: .readable) }

    func start() throws { try poll?.start(for: .readable) { _ in } }

    func stop() { poll?.stop() }

    func close() { poll?.close() }

    var isActive: Bool { poll?.isActive ?? false }
  }
}
