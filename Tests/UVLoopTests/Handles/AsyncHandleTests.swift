import Testing

@testable import UVLoop

@Suite(.sideBySide) struct AsyncHandleTests {
  @Test func `K-04 a send that is pending when its handle closes is answered by nobody`() async throws {
    try await onTestLoop { loop, calls in
      let wake = try AsyncHandle { calls.mark("callback") }
      #expect(wake.sender.send())
      wake.close()
      #expect(wake.isClosed)
      #expect(!wake.sender.send())
      try await iterate(loop, times: 10)
      #expect(calls.log.isEmpty)
    }
  }

  @Test func `K-06 the handle stays open while a sender is left, and closes when the last is gone`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      let called = try Promise<Void>()
      var wake: AsyncHandle? = try AsyncHandle {
        calls.mark("callback")
        called.resume(returning: ())
      }
      var sender = wake?.sender
      wake = nil
      #expect(loop.probe.handles.closed == 0)
      #expect(sender?.send() == true)
      try await called.value()
      sender = nil
      #expect(loop.probe.handles.closed == 1)
      try await iterate(loop)
      #expect(loop.probe.handles.freed == 1)
    }
  }

  @Test func `K-06 the last sender may go on a foreign thread`() async throws {
    try await withTestLoop { loop, calls in
      let gone = Counter()
      let sender = Shared(
        try await loop.run { loop in
          let witness = Witness(gone)
          return try AsyncHandle { witness.hold() }.sender
        } as AsyncHandle.Sender?)
      #expect(gone.value == 0)
      try await onPlainThread { sender.value = nil }
      await expectEventually { await loop.run { $0.probe.handles.freed } == 1 }
      #expect(gone.value == 1)
    }
  }

  @Test func `K-09 close releases the callback though a sender is left`() async throws {
    try await onTestLoop { loop, calls in
      let gone = Counter()
      let wake: AsyncHandle = try {
        _ = loop
        let witness = Witness(gone)
        return try AsyncHandle { witness.hold() }
      }()
      let sender = wake.sender
      wake.close()
      #expect(gone.value == 1)
      #expect(!sender.send())
    }
  }

  @Test func `K-03 a callback that closes its own handle may be sent to from there`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      let cell = Cell<AsyncHandle>()
      let answer = try Promise<[Bool]>()
      cell.value = try AsyncHandle {
        calls.mark("callback")
        let before = cell.value?.sender.send() == true
        cell.value?.close()
        let after = cell.value?.sender.send() == true
        answer.resume(returning: [before, after])
      }
      cell.value?.sender.send()
      #expect(try await answer.value() == [true, false])
      try await iterate(loop)
      cell.value = nil
    }
  }

  @Test func `K-02 the description tells the loop and the state`() async throws {
    try await onTestLoop("gauge") { loop, calls in
      let wake = try AsyncHandle {}
      #expect(wake.description == "AsyncHandle on loop \"gauge\", open")
      wake.close()
      #expect(wake.description == "AsyncHandle on loop \"gauge\", closed")
    }
  }
}
