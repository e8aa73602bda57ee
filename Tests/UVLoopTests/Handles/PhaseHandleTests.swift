import Testing

@testable import UVLoop

@Suite(.sideBySide) struct PhaseHandleTests {
  @Test func `Q-18 in each iteration prepare calls before the poll, and check after it`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let (prepare, check) = (try PrepareHandle(), try CheckHandle())
      let poll = try PollHandle(descriptor: pair.watched)
      let done = try Promise<Void>()
      try poll.start(for: .readable) { _ in
        pair.drain()
        calls.mark("poll")
      }
      try prepare.start {
        if calls.count("prepare") == 0 { pair.feed() }
        calls.mark("prepare")
      }
      try check.start {
        calls.mark("check")
        if calls.count("poll") == 1 {
          prepare.stop()
          check.stop()
          done.resume(returning: ())
        }
      }
      try await done.value()
      #expect(calls.log.suffix(3) == ["prepare", "poll", "check"])
      let before = calls.log.count
      try await iterate(loop)
      #expect(calls.log.count == before)
    }
  }

  @Test(arguments: [HandleKind.prepare, .check, .idle])
  func `Q-18 a phase handle that is started right before a poll is called, though nothing wakes the loop`(
    kind: HandleKind
  ) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      let (due, called) = (try Promise<Void>(), try Promise<Void>())
      let handle = try AnyHandle(kind) {
        calls.mark("callback")
        called.resume(returning: ())
      }
      let timer = try TimerHandle()
      try timer.start(after: .milliseconds(1)) { due.resume(returning: ()) }
      try await due.value()
      // libuv has called the timers: the loop runs this among the calls before the poll.
      await Task.yield()
      try handle.start()
      try handle.provoke()
      try await called.value()
      handle.close()
      timer.close()
    }
  }

  @Test func `Q-18 a prepare handle that starts itself anew in each call lets the loop wait`() async throws {
    try await onTestLoop { loop, _ in
      let prepare = try PrepareHandle()
      let calls = Counter()
      func start() throws(UVError) {
        try prepare.start {
          calls.add()
          prepare.stop()
          do { try start() } catch { Issue.record(error) }
        }
      }
      try start()
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(50)) }
      #expect(iterations <= 5 && calls.value > 0)
      prepare.close()
    }
  }

  @Test func `Q-18 a phase handle that is stopped in its own callback calls no more`() async throws {
    try await onTestLoop { loop, calls in
      let (prepare, check, idle) = (try PrepareHandle(), try CheckHandle(), try IdleHandle())
      try prepare.start {
        calls.mark("prepare")
        prepare.stop()
      }
      try check.start {
        calls.mark("check")
        check.stop()
      }
      try idle.start {
        calls.mark("idle")
        idle.stop()
      }
      while prepare.isActive || check.isActive || idle.isActive { try await loop.sleep(for: .milliseconds(1)) }
      try await iterate(loop)
      #expect(calls.log.sorted() == ["check", "idle", "prepare"])
      for handle in [prepare, check, idle] as [LoopHandle] { handle.close() }
    }
  }

  @Test func `Q-18 a start on a started phase handle replaces the callback, and releases the one of before`()
    async throws
  {
    try await onTestLoop { loop, calls in
      let gone = Counter()
      let check = try CheckHandle()
      do {
        let witness = Witness(gone)
        try check.start {
          witness.hold()
          calls.mark("first")
        }
      }
      let done = try Promise<Void>()
      try check.start { done.resume(returning: ()) }
      #expect(gone.value == 1)
      try await iterate(loop)
      try await done.value()
      #expect(calls.log.isEmpty)
      check.close()
    }
  }

  @Test func `Q-19 a started idle handle is called once an iteration, and input, timers and posts go on`() async throws
  {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let idle = try IdleHandle()
      let poll = try PollHandle(descriptor: pair.watched)
      let timer = try TimerHandle()
      let start = loop.probe.iterations
      try idle.start { calls.mark("idle") }
      try poll.start(for: .readable) { _ in
        pair.drain()
        calls.mark("input")
      }
      try timer.start(after: .milliseconds(1), repeating: .milliseconds(1)) { calls.mark("timer") }
      for _ in 0..<3 {
        let before = calls.count("input")
        pair.feed()
        while calls.count("input") == before { try await loop.sleep(for: .zero) }
        try await onPlainThread { try? loop.post { calls.mark("post") } }
      }
      while calls.count("timer") < 3 || calls.count("post") < 3 { try await loop.sleep(for: .milliseconds(1)) }
      idle.stop()
      let iterations = loop.probe.iterations - start
      #expect(calls.count("post") == 3)
      #expect(abs(calls.count("idle") - iterations) <= 1)
      for handle in [idle, poll, timer] as [LoopHandle] { handle.close() }
    }
  }

  @Test func `Q-19 a stopped idle handle lets the loop wait again`() async throws {
    try await onTestLoop { loop, calls in
      let idle = try IdleHandle()
      try idle.start {}
      let busy = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(20)) }
      #expect(busy > 20)
      idle.stop()
      try await iterate(loop)
      let waiting = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(20)) }
      #expect(waiting < 20)
    }
  }
}
