import Testing

@testable import UVLoop

/// What runs next, in a queue that no loop empties. The calling thread is the loop's where a test says so.
@Suite(.sideBySide) struct LoopQueueTests {
  private func withParts(_ body: (LoopPartsFixture) throws -> Void) throws {
    let parts = try LoopPartsFixture()
    parts.thread.mark(current: true, isolating: true)
    defer {
      parts.thread.mark(current: false, isolating: false)
      parts.close()
    }
    try body(parts)
  }

  @Test func `what is enqueued on the loop's thread goes behind what is there, without the inbox`() throws {
    try withParts { parts in
      var order: [Int] = []
      parts.queue.enqueueLocal(.call { order.append(1) })
      #expect(parts.queue.enqueue { order.append(2) })
      #expect(order.isEmpty && parts.queue.count == 2 && parts.inbox.counts.posts == 0)
      #expect(parts.queue.drain())
      #expect(order == [1, 2] && parts.queue.count == 0)
    }
  }

  @Test func `what others enqueue comes with take, behind what is there`() throws {
    try withParts { parts in
      var order: [Int] = []
      parts.queue.enqueueLocal(.call { order.append(1) })
      let isPosted = parts.queue.post(.call { order.append(3) })
      #expect(isPosted)
      parts.queue.enqueueRemote(.call { order.append(4) })
      parts.queue.enqueueLocal(.call { order.append(2) })
      #expect(parts.queue.count == 4)
      parts.queue.take()
      #expect(parts.queue.drain())
      #expect(order == [1, 2, 3, 4])
    }
  }

  @Test func `work that makes work does not keep the loop for ever`() throws {
    try withParts { parts in
      var count = 0
      func next() {
        count += 1
        if count < 100_000 { parts.queue.enqueueLocal(.call { next() }) }
      }
      next()
      #expect(!parts.queue.drain(), "there is more")
      #expect(count <= 4_097)
      while !parts.queue.drain() {}
      #expect(count == 100_000)
    }
  }

  @Test func `in a callback work runs at once, unless older work waits, or a test says so`() throws {
    try withParts { parts in
      var order: [Int] = []
      parts.queue.runNow(.call { order.append(1) })
      #expect(order == [1])
      parts.queue.enqueueLocal(.call { order.append(2) })
      parts.queue.runNow(.call { order.append(3) })
      #expect(order == [1])
      #expect(parts.queue.drain())
      #expect(order == [1, 2, 3])
      parts.queue.runsInline = false
      parts.queue.runNow(.call { order.append(4) })
      #expect(order == [1, 2, 3])
      #expect(parts.queue.drain())
    }
  }

  @Test func `once shutdown is asked for users are refused, and messages are not`() throws {
    try withParts { parts in
      _ = parts.inbox.stopAccepting(then: .call {})
      let isPosted = parts.queue.post(.call {})
      #expect(!isPosted)
      #expect(parts.queue.enqueue {})
    }
  }
}
