import Testing

@testable import UVLoop

@Suite(.alone) struct AsyncHandleSenderTests {
  @Test func `B-21 five sends before the loop goes round give at least one and at most five callbacks`() async throws {
    try await onTestLoop { loop, calls in
      let called = Event("a callback")
      let async = try AsyncHandle {
        calls.mark("callback")
        called.signal()
      }
      for _ in 0..<5 { #expect(async.sender.send()) }
      #expect(calls.count("callback") == 0)
      try await called.wait()
      // Whatever else is on its way has come when a later wake has.
      let fence = Event("a later callback")
      let other = try AsyncHandle { fence.signal() }
      other.sender.send()
      try await fence.wait()
      #expect((1...5).contains(calls.count("callback")))
    }
  }

  @Test func `B-21 a send that is made after a callback began gives another one`() async throws {
    try await onTestLoop { loop, calls in
      let done = Event("the tenth callback")
      let own = Shared<AsyncHandle.Sender?>(nil)
      let async = try AsyncHandle {
        calls.mark("callback")
        if calls.count("callback") < 10 { own.value?.send() } else { done.signal() }
      }
      own.value = async.sender
      async.sender.send()
      try await done.wait()
      #expect(calls.count("callback") == 10)
      own.value = nil
      async.close()
    }
  }

  @Test func `B-21 a send from another thread wakes a loop that waits`() async throws {
    try await withTestLoop { loop, calls in
      let called = Event("a callback")
      let sender = try await loop.run { loop in
        try AsyncHandle {
          if loop.isCurrent { calls.mark("callback") }
          called.signal()
        }.sender
      }
      for number in 1...100 {
        #expect(try await onPlainThread { sender.send() })
        try await called.wait(times: number)
      }
      #expect(calls.count("callback") == 100)
    }
  }

  @Test func `B-22 send is true while the handle is open and false once it is closed`() async throws {
    try await onTestLoop { loop, _ in
      let async = try AsyncHandle {}
      let sender = async.sender
      #expect(sender.send())
      async.close()
      #expect(!sender.send())
      try await loop.sleep(for: .milliseconds(1))
      #expect(!sender.send())
    }
  }

  @Test func `B-22 sends that race with close are true and then false, and never harm`() async throws {
    try await withTestLoop { loop, _ in
      for _ in 1...50 {
        let begun = Event("a send of each thread")
        let refused = Event("a refused send of each thread")
        let (sender, close) = try await loop.run { loop in
          let async = try AsyncHandle {}
          let keeper = Keeper(async, on: loop)
          return (async.sender, keeper)
        }
        let threads = (0..<4).map { _ in
          PlainThread {
            if sender.send() { begun.signal() }
            while sender.send() {}
            // Closed once is closed for good.
            if !(1...100).contains(where: { _ in sender.send() }) { refused.signal() }
          }
        }
        try await begun.wait(times: 4)
        await close.close()
        try await refused.wait(times: 4)
        for thread in threads { try await thread.join() }
      }
    }
  }

  @Test func `B-22 sends that race with shutdown are true and then false, and never harm`() async throws {
    for round in 1...20 {
      let loop = try EventLoop(.init(name: "round \(round)"))
      let sender = try await loop.run { _ in try AsyncHandle {}.sender }
      let begun = Event("a send of each thread")
      let refused = Event("a refused send of each thread")
      let threads = (0..<4).map { _ in
        PlainThread {
          if sender.send() { begun.signal() }
          while sender.send() {}
          refused.signal()
        }
      }
      try await begun.wait(times: 4)
      let report = await loop.shutdown()
      #expect(report.unfinished.isEmpty && report.foreignHandles.isEmpty)
      try await refused.wait(times: 4)
      for thread in threads { try await thread.join() }
      #expect(!sender.send())
      await expectThreadGone(loop.thread)
    }
  }

  @Test func `B-22 send becomes false without harm when the last reference to the loop is gone`() async throws {
    // It says so on standard error, which is the process's.
    await #expect(processExitsWith: .success) {
      let (sender, thread) = try await senderOfADroppedLoop()
      #expect(await eventually { !sender.send() })
      await expectThreadGone(thread)
      for _ in 0..<100 { #expect(!sender.send()) }
    }
  }

  @Test func `B-22 a handle stays open while a sender is left, and closes with the last`() async throws {
    try await withTestLoop { loop, calls in
      let called = Event("a callback")
      var sender: AsyncHandle.Sender? = try await loop.run { _ in
        // Nobody keeps the handle itself.
        try AsyncHandle {
          calls.mark("callback")
          called.signal()
        }.sender
      }
      #expect(sender?.send() == true)
      try await called.wait()
      let copy = sender
      sender = nil
      #expect(copy?.send() == true)
      try await called.wait(times: 2)
      #expect(await loop.run { $0.probe.handles.open } == 1)
      _ = consume copy
      #expect(await eventually { await loop.run { $0.probe.handles.open == 0 } })
    }
  }
}

/// Where a handle stays for as long as senders are somewhere else.
private actor Keeper: LoopActor {
  nonisolated let loop: EventLoop
  private let handle: Disconnected<AsyncHandle>

  init(_ handle: AsyncHandle, on loop: isolated EventLoop) {
    self.loop = loop
    self.handle = Disconnected(handle)
  }

  func close() { handle.take().close() }
}

private func senderOfADroppedLoop() async throws -> (AsyncHandle.Sender, ThreadIdentity) {
  let loop = try EventLoop()
  let sender = try await loop.run { _ in try AsyncHandle {}.sender }
  #expect(sender.send())
  return (sender, loop.thread)
}
