import Testing

@testable import UVLoop

/// Writes that nobody waits for.
@Suite(.sideBySide) struct StreamEnqueueTests {
  private static func options(limit: Int) -> ByteStream.Options {
    var options = ByteStream.Options()
    options.writeQueueLimit = limit
    return options
  }

  @Test func `L-58 enqueue answers false above the mark, and queues nothing then`() async throws {
    try await onScriptedStream(options: Self.options(limit: 10)) { loop, stream, transport in
      let isTaken = try stream.enqueue([UInt8](repeating: 1, count: 10))
      #expect(isTaken)
      #expect(try stream.enqueue([2]))
      #expect(stream.queuedBytes == 11)
      #expect(try !stream.enqueue([3]))
      #expect(try !stream.enqueue([]))
      #expect(stream.queuedBytes == 11)
      transport.room = 1
      transport.endWrite()
      #expect(stream.queuedBytes == 0)
      transport.room = 1
      #expect(try stream.enqueue([4]))
      #expect(transport.taken == [UInt8](repeating: 1, count: 10) + [2, 4])
      #expect(stream.bytesWritten == 12)
    }
  }

  @Test func `L-58 what other writes have queued counts for the mark`() async throws {
    try await onScriptedStream(options: Self.options(limit: 100)) { loop, stream, transport in
      let writing = loop.task { _ in try await stream.write([UInt8](repeating: 1, count: 101)) }
      await expectEventually { stream.queuedBytes == 101 }
      #expect(try !stream.enqueue([2]))
      transport.endWrite()
      try await writing.value
      #expect(try stream.enqueue([2]))
      transport.endAll()
      #expect(transport.taken.count == 102)
    }
  }

  @Test(arguments: StreamSetting.of([.unix, .tcp]))
  func `L-58 a peer that never reads costs the mark and one array`(setting: StreamSetting) async throws {
    try await onTestStream(setting, options: Self.options(limit: 100_000)) { loop, stream, peer in
      let pattern = Pattern(seed: 58)
      var sent = 0
      var refused = 0
      while refused < 100 {
        if try stream.enqueue(pattern.bytes(at: sent, count: 30_000)) {
          sent += 30_000
        } else {
          refused += 1
          try await loop.sleep(for: .zero)
        }
        #expect(stream.queuedBytes <= 130_000)
      }
      let reader = SlowPeer(peer, pace: .full, expecting: pattern)
      try await stream.finishWriting()
      let (count, difference) = try await reader.finish()
      #expect(count == sent && stream.bytesWritten == sent)
      #expect(difference == nil)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-58 messages of four threads arrive whole, and each thread's in order`(setting: StreamSetting) async throws {
    try await onTestStream(setting, options: Self.options(limit: .max)) { loop, stream, peer in
      let reader = Task {
        try await onPlainThread {
          var next = [Int](repeating: 0, count: 4)
          while true {
            let message = try peer.receive(exactly: 3)
            if message.isEmpty { return next }
            guard Int(message[1]) << 8 | Int(message[2]) == next[Int(message[0])] else { return [] }
            next[Int(message[0])] += 1
          }
        }
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for thread in UInt8(0)..<4 {
          group.addTask {
            try await onPlainThread {
              for number in 0..<1_000 { _ = try stream.enqueue([thread, UInt8(number >> 8), UInt8(number & 255)]) }
            }
          }
        }
        try await group.waitForAll()
      }
      try await stream.finishWriting()
      #expect(try await reader.value == [1_000, 1_000, 1_000, 1_000])
      #expect(stream.bytesWritten == 12_000 && stream.queuedBytes == 0)
    }
  }

  private enum LoopCall: CaseIterable {
    case write, writeParts, tryWrite, enqueue, finishWriting, closeGracefully, closeBehindThePeersEnd, detach
  }

  @Test(arguments: LoopCall.allCases)
  private func `L-58 what another thread has queued goes out before what the loop does after that`(
    call: LoopCall
  ) async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      if call == .closeBehindThePeersEnd {
        try peer.shutdownWriting()
        #expect(try await stream.read() == nil)
      }
      let isQueued = Event("the call on the other thread")
      let isTaken = Shared(false)
      let thread = PlainThread {
        isTaken.value = (try? stream.enqueue([1, 2])) ?? false
        isQueued.signal()
      }
      // The loop is blocked until then, and has taken no message.
      #expect(isQueued.waitBlocking() && isTaken.value)
      var expected: [UInt8] = [1, 2]
      switch call {
      case .write: try await stream.write([3])
      case .writeParts: try await stream.write(contentsOf: [[3], []])
      case .tryWrite: #expect(try stream.tryWrite([3]) == 1)
      case .enqueue: #expect(try stream.enqueue([3]))
      case .finishWriting: try await stream.finishWriting()
      case .closeGracefully, .closeBehindThePeersEnd: break
      case .detach: try await expectCode(.busy) { _ = try await stream.detach() }
      }
      if [.write, .writeParts, .tryWrite, .enqueue].contains(call) { expected.append(3) }
      let got = Task {
        try await onPlainThread {
          defer { peer.close() }
          return try peer.receiveAll()
        }
      }
      await stream.closeGracefully(within: .seconds(10))
      #expect(try await got.value == expected)
      #expect(stream.queuedBytes == 0)
      try await thread.join()
    }
  }

  @Test func `L-58 the order of the calls is that on the wire, with writes that wait between`() async throws {
    try await onScriptedStream { loop, stream, transport in
      #expect(try stream.enqueue([1]))
      let writing = loop.task { _ in try await stream.write([2]) }
      await expectEventually { stream.queuedBytes == 2 }
      #expect(try stream.enqueue([3]))
      let end = loop.task { _ in try await stream.finishWriting() }
      try await expectEventually { try errorCode { _ = try stream.enqueue([]) } == .brokenPipe }
      transport.endAll()
      try await writing.value
      try await end.value
      #expect(transport.taken == [1, 2, 3] && transport.isFinished)
    }
  }

  @Test func `L-58 after the end of writing it throws brokenPipe`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let end = loop.task { _ in try await stream.finishWriting() }
      await expectEventually { transport.isFinishing }
      try expectCode(.brokenPipe) { _ = try stream.enqueue([1]) }
      transport.endFinish()
      try await end.value
      try expectCode(.brokenPipe) { _ = try stream.enqueue([1]) }
      #expect(stream.queuedBytes == 0)
    }
  }

  @Test func `L-58 an error shows in the next call that waits`() async throws {
    try await onScriptedStream { loop, stream, transport in
      #expect(try stream.enqueue([1, 2, 3]))
      #expect(try stream.enqueue([4]))
      transport.endWrite(UVError(.connectionReset, call: "write", "The peer has gone."))
      #expect(stream.queuedBytes == 0)
      try expectCode(.connectionReset) { _ = try stream.enqueue([1]) }
      try await expectCode(.connectionReset) { try await stream.write([1]) }
    }
  }

  @Test func `L-58 from the moment of its close on it throws handleClosed, on any thread`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let (isBlocked, goesOn) = (Event("the block of the loop"), Event("the call on the other thread"))
      try loop.post { _ in
        isBlocked.signal()
        goesOn.waitBlocking()
      }
      let other = PlainThread {
        isBlocked.waitBlocking()
        #expect(throws: Never.self) {
          #expect(try stream.enqueue([1]))
          stream.close()
          try expectCode(.handleClosed) { _ = try stream.enqueue([1]) }
        }
        goesOn.signal()
      }
      try await other.join()
      #expect(stream.isClosed && stream.queuedBytes == 0)
    }
  }

  @Test func `L-58 on a loop that has ended it throws loopClosed`() async throws {
    let stream = try await withTestLoop { loop, _ in
      await loop.run { loop in ByteStream(over: ScriptedTransport(on: loop), on: loop) }
    }
    try expectCode(.loopClosed) { _ = try stream.enqueue([1]) }
    #expect(stream.queuedBytes == 0 && stream.isClosed)
  }

  @Test func `L-58 beside a shutdown each call is taken or throws, and nothing is kept`() async throws {
    for _ in 0..<20 {
      let loop = try EventLoop(.init(name: "test"))
      let core = WeakCore(of: loop)
      do {
        let stream = await loop.run { loop in
          ByteStream(over: ScriptedTransport(on: loop), on: loop, options: Self.options(limit: .max))
        }
        let threads = (0..<2).map { _ in
          PlainThread {
            do { while try stream.enqueue([1, 2, 3]) {} } catch {
              #expect([.loopClosed, .handleClosed].contains((error as? UVError)?.code))
            }
          }
        }
        await expectEventually { stream.queuedBytes > 0 }
        await loop.shutdown()
        for thread in threads { try await thread.join() }
        #expect(stream.queuedBytes == 0)
      }
      _ = consume loop
      await expectEventually { core.isFreed }
    }
  }
}
