import Testing

@testable import UVLoop

/// What holds for the life of every kind of handle.
@Suite(.sideBySide) struct HandleLawsTests {
  @Test(arguments: HandleKind.allCases)
  func `K-01 close twice and three times is one close`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      let handle = try AnyHandle(kind) {}
      try handle.start()
      #expect(!handle.isClosed)
      for _ in 0..<3 {
        handle.close()
        #expect(handle.isClosed && !handle.isActive)
        #expect(loop.probe.handles.closed == 1)
      }
      try await iterate(loop)
      handle.close()
      #expect(loop.probe.handles.closed == 1)
      #expect(loop.probe.handles.freed == 1)
    }
  }

  @Test(arguments: HandleKind.startable)
  func `K-02 start on a closed handle throws handleClosed, and stop does nothing`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      let handle = try AnyHandle(kind) { calls.mark("callback") }
      handle.close()
      try expectCode(.handleClosed) { try handle.start() }
      handle.stop()
      // While it closes, and when it has closed and its memory is gone.
      try await iterate(loop)
      try expectCode(.handleClosed) { try handle.start() }
      handle.stop()
      #expect(!handle.isActive)
      #expect(loop.probe.handles.freed == 1)
      #expect(calls.log.isEmpty)
    }
  }

  @Test(arguments: HandleKind.startable)
  func `K-20 a handle that is stopped and started at once calls the new callback, and only that`(
    kind: HandleKind
  ) async throws {
    try await onTestLoop { loop, calls in
      let handle = try AnyHandle(kind) { calls.mark("old") }
      try handle.start()
      handle.stop()
      try handle.start { calls.mark("new") }
      try handle.provoke()
      try await iterate(loop)
      #expect(calls.log == ["new"])
      handle.close()
    }
  }

  @Test func `K-02 again and repeatInterval on a closed timer do not reach libuv`() async throws {
    try await onTestLoop { loop, calls in
      let timer = try TimerHandle()
      try timer.start(after: .seconds(60), repeating: .seconds(60)) {}
      timer.close()
      try expectCode(.handleClosed) { try timer.again() }
      try await iterate(loop)
      try expectCode(.handleClosed) { try timer.again() }
      timer.repeatInterval = .seconds(1)
      #expect(timer.repeatInterval == .seconds(60))
      #expect(timer.dueIn == nil)
    }
  }

  @Test func `K-02 send on a closed handle is false`() async throws {
    try await onTestLoop { loop, calls in
      let wake = try AsyncHandle { calls.mark("callback") }
      wake.close()
      #expect(!wake.sender.send())
      try await iterate(loop)
      #expect(!wake.sender.send())
      #expect(calls.log.isEmpty)
    }
  }

  @Test func `K-02 an error of a closed handle names the call, the loop and what to do`() async throws {
    try await onTestLoop("gauge") { loop, calls in
      let timer = try TimerHandle()
      timer.close()
      let error = #expect(throws: UVError.self) { try timer.start(after: .zero) {} }
      #expect(error?.call == "TimerHandle.start")
      #expect(error?.message.contains("\"gauge\"") == true)
      #expect(error?.message.contains("Make a new one") == true)
    }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-03 close inside the handle's own callback is safe`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      let cell = Cell<AnyHandle>()
      let handle = try AnyHandle(kind) {
        calls.mark("callback")
        cell.value?.close()
      }
      cell.value = handle
      try handle.start()
      try handle.provoke()
      while !handle.isClosed { try await loop.sleep(for: .zero) }
      try await iterate(loop)
      #expect(loop.probe.handles.freed == 1)
      cell.value = nil
    }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-03 the last reference may be dropped inside the handle's own callback`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      let cell = Cell<AnyHandle>()
      cell.value = try AnyHandle(kind) {
        calls.mark("callback")
        cell.value?.stop()
        cell.value = nil
      }
      try cell.value?.start()
      try cell.value?.provoke()
      while loop.probe.handles.freed == 0 { try await loop.sleep(for: .zero) }
      #expect(loop.probe.handles.closed == 1)
    }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-04 after close no callback comes, though it was due`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      let handle = try AnyHandle(kind) { calls.mark("callback") }
      try handle.start()
      try handle.provoke()
      handle.close()
      try await iterate(loop, times: 10)
      #expect(calls.log.isEmpty)
      #expect(loop.probe.handles.freed == 1)
    }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-04 of two handles due in one iteration the first that closes the other keeps it from calling`(
    kind: HandleKind
  ) async throws {
    try await onTestLoop { loop, calls in
      let (one, other) = (Cell<AnyHandle>(), Cell<AnyHandle>())
      one.value = try AnyHandle(kind) {
        calls.mark("one")
        other.value?.close()
      }
      other.value = try AnyHandle(kind) {
        calls.mark("other")
        one.value?.close()
      }
      try one.value?.start()
      try other.value?.start()
      try one.value?.provoke()
      try other.value?.provoke()
      try await iterate(loop, times: 10)
      #expect(calls.log.count == 1)
      one.value?.close()
      other.value?.close()
      (one.value, other.value) = (nil, nil)
    }
  }

  @Test(arguments: HandleKind.startable)
  func `K-04 after stop no callback comes, though it was due`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      let handle = try AnyHandle(kind) { calls.mark("callback") }
      try handle.start()
      try handle.provoke()
      handle.stop()
      #expect(!handle.isActive && !handle.isClosed)
      try await iterate(loop, times: 10)
      #expect(calls.log.isEmpty)
      handle.close()
    }
  }

  @Test(arguments: HandleKind.startable)
  func `K-05 a started handle whose last reference is dropped goes on calling`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      let pair = SocketPair()
      let called = try Promise<Void>()
      var handle: AnyHandle? = try AnyHandle(kind, on: pair) {
        calls.mark("callback")
        called.resume(returning: ())
      }
      try handle?.start()
      try handle?.provoke()
      handle = nil
      #expect(loop.probe.handles.closed == 0)
      try await called.value()
    }
  }

  @Test func `K-05 a repeating timer that only its callback holds fires until it is stopped, and is then freed`()
    async throws
  {
    try await onTestLoop { loop, calls in
      calls.expect("fired", 5)
      weak var observed: TimerHandle?
      do {
        let timer = try TimerHandle()
        observed = timer
        try timer.start(after: .milliseconds(1), repeating: .milliseconds(1)) {
          calls.mark("fired")
          if calls.count("fired") == 5 { timer.stop() }
        }
      }
      #expect(observed?.isActive == true)
      while loop.probe.handles.freed == 0 { try await loop.sleep(for: .milliseconds(1)) }
      #expect(observed == nil)
      #expect(loop.probe.handles.closed == 1)
    }
  }

  @Test func `K-05 a repeating timer that nobody holds goes on firing`() async throws {
    try await onTestLoop { loop, calls in
      do {
        try TimerHandle().start(after: .milliseconds(1), repeating: .milliseconds(1)) { calls.mark("fired") }
      }
      while calls.count("fired") < 5 { try await loop.sleep(for: .milliseconds(1)) }
      #expect(loop.probe.handles.closed == 0)
    }
  }

  @Test func `K-05 a one-shot timer that nobody holds is closed and freed when it has fired`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      do { try TimerHandle().start(after: .milliseconds(1)) { calls.mark("fired") } }
      #expect(loop.probe.handles.closed == 0)
      while loop.probe.handles.freed == 0 { try await loop.sleep(for: .milliseconds(1)) }
      #expect(calls.count("fired") == 1)
      #expect(loop.probe.handles.closed == 1)
    }
  }

  @Test(arguments: HandleKind.allCases)
  func `K-06 an inactive handle that is dropped on its loop is closed at once and freed once`(
    kind: HandleKind
  ) async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      var handle: AnyHandle? = try AnyHandle(kind, on: pair) { calls.mark("callback") }
      #expect(handle != nil && loop.probe.handles.closed == 0)
      handle = nil
      #expect(loop.probe.handles.closed == 1)
      #expect(loop.probe.handles.freed == 0)
      try await iterate(loop)
      #expect(loop.probe.handles.freed == 1)
    }
  }

  @Test(arguments: HandleKind.startable)
  func `K-06 a stopped handle that is dropped is closed at once and freed once`(kind: HandleKind) async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      var handle: AnyHandle? = try AnyHandle(kind, on: pair) { calls.mark("callback") }
      try handle?.start()
      handle?.stop()
      handle = nil
      #expect(loop.probe.handles.closed == 1)
      try await iterate(loop)
      #expect(loop.probe.handles.freed == 1)
    }
  }

  @Test func `K-11 a handle whose init fails is freed without a close, and the initialiser throws`() async throws {
    try await onTestLoop { loop, calls in
      let file = try #require(TemporaryFile())
      for _ in 0..<100 {
        try expectCode(.notPermitted) {
          _ = loop
          _ = try PollHandle(descriptor: file.descriptor)
        }
      }
      #expect(loop.probe.handles.created == 0)
      #expect(loop.probe.handles.closed == 0)
      #expect(loop.probe.handles.open == 0)
    }
  }
}
