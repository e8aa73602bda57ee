import Testing

@testable import UVLoop

/// Which loop runs here.
@Suite(.sideBySide) struct CurrentLoopTests {
  @Test func `A-01 a thread without a loop has no current loop and is named by the error of running`() async throws {
    let answer = try await onPlainThread { () -> (isNil: Bool, thread: ThreadIdentity, error: UVError?) in
      do throws(UVError) {
        _ = try EventLoop.running()
        return (EventLoop.current == nil, .current, nil)
      } catch {
        return (EventLoop.current == nil, .current, error)
      }
    }
    #expect(answer.isNil)
    let error = try #require(answer.error)
    #expect(error.code == .notOnLoop)
    #expect(error.call == "EventLoop.running")
    #expect(error.message.contains("\(answer.thread)"))
  }

  @Test func `A-02 in callbacks, bodies and methods the current loop is the one that runs them`() async throws {
    try await withTestLoop { loop, calls in
      let places = [
        "post", "post with the loop", "post to an actor", "timer", "schedule", "run", "async run", "after an await",
        "task", "actor", "hook",
      ]
      for place in places { calls.expect(place) }
      let arrived = Event("a visit of each place")
      let note: @Sendable (String) -> Void = { place in
        if loop.isCurrent && EventLoop.current === loop && (try? EventLoop.running()) === loop { calls.mark(place) }
        arrived.signal()
      }
      let visitor = Visitor(on: loop, note)
      try loop.post { note("post") }
      try loop.post { _ in note("post with the loop") }
      try visitor.post { $0.note("post to an actor") }
      try await loop.run { loop in
        note("run")
        try loop.schedule(after: .zero) { note("schedule") }
        try loop.onShutdown { note("hook") }
        let timer = try TimerHandle()
        try timer.start(after: .zero) { note("timer") }
      }
      try await loop.run { loop in
        note("async run")
        try await loop.sleep(for: .milliseconds(1))
        note("after an await")
      }
      await loop.task { _ in note("task") }.value
      await visitor.visit()
      try await arrived.wait(times: places.count - 1)
    }
  }

  @Test func `A-03 a callback is on its own loop and not on the one beside it`() async throws {
    try await withTestLoop("left") { left, leftCalls in
      try await withTestLoop("right") { right, rightCalls in
        leftCalls.expect("on the left")
        rightCalls.expect("on the right")
        let done = Event("both callbacks")
        try left.post {
          if left.isCurrent && !right.isCurrent && EventLoop.current === left { leftCalls.mark("on the left") }
          done.signal()
        }
        try right.post {
          if right.isCurrent && !left.isCurrent && EventLoop.current === right { rightCalls.mark("on the right") }
          done.signal()
        }
        try await done.wait(times: 2)
      }
    }
  }

  @Test func `A-07 an offloaded body is on no loop`() async throws {
    try await onTestLoop { loop, _ in
      let answer = try await loop.offload {
        (isNil: EventLoop.current == nil, isCurrent: loop.isCurrent, thread: ThreadIdentity.current)
      }
      #expect(answer.isNil)
      #expect(!answer.isCurrent)
      #expect(answer.thread != loop.thread)
      #expect(EventLoop.current === loop)
    }
  }

  @Test func `A-16 a nested withEventLoop body sees the inner loop and afterwards the outer is current again`()
    async throws
  {
    let threads = try await withEventLoop(.init(name: "outer")) { outer in
      #expect(EventLoop.current === outer)
      let inner = try await withEventLoop(.init(name: "inner")) { inner in
        #expect(EventLoop.current === inner)
        #expect(inner.isCurrent && !outer.isCurrent)
        return inner.thread
      }
      #expect(EventLoop.current === outer)
      #expect(outer.isCurrent)
      return [outer.thread, inner]
    }
    #expect(threads[0] != threads[1])
    for thread in threads { await expectThreadGone(thread) }
  }

  @Test func `A-16 while a nested loop runs the outer one runs, on its own thread`() async throws {
    let threads = try await withEventLoop(.init(name: "outer")) { outer in
      let inner = try await withEventLoop(.init(name: "inner")) { inner in
        // Answered by the outer loop's thread, which is therefore not inside the inner loop's run.
        let before = await outer.run { outer in
          #expect(ThreadIdentity.current == outer.thread)
          return outer.probe.iterations
        }
        try await outer.sleep(for: .milliseconds(1))
        let after = await outer.run { $0.probe.iterations }
        #expect(after > before)
        #expect(inner.isCurrent)
        return inner.thread
      }
      return [outer.thread, inner]
    }
    for thread in threads { await expectThreadGone(thread) }
  }
}

private actor Visitor: LoopActor {
  nonisolated let loop: EventLoop
  nonisolated let note: @Sendable (String) -> Void

  init(on loop: EventLoop, _ note: @escaping @Sendable (String) -> Void) {
    self.loop = loop
    self.note = note
  }

  func visit() { note("actor") }
}
