import Testing

@testable import UVLoop

/// Graceful closes: whatever the peer does, they end, and take nothing away from it.
@Suite(.sideBySide) struct StreamClosingTests {
  /// One that no test waits for.
  private static let never = Duration.seconds(1_000_000_000)

  @Test(arguments: StreamSetting.all)
  func `L-68 who sends on while it is answered gets the whole answer`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let answer = Pattern(seed: 68).bytes(count: 300_000)
      let client = Task {
        try await onPlainThread {
          // More than the stream reads, and than the kernel keeps for it.
          for _ in 0..<20 { try peer.sendAll([UInt8](repeating: 1, count: 50_000)) }
          let received = try peer.receiveAll()
          try peer.sendAll("and more")
          peer.close()
          return received
        }
      }
      _ = try await stream.read()
      let answering = loop.task { _ in try await stream.write(answer) }
      await expectEventually { stream.bytesWritten + Int64(stream.queuedBytes) > 0 }
      // The client reads only when it has sent all.
      await stream.closeGracefully(within: Self.never)
      try await answering.value
      #expect(try await client.value == answer)
      #expect(stream.isClosed)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-68 a peer that has ended before gets what is queued`(setting: StreamSetting) async throws {
    try await onTestStream(setting, options: .smallBuffers) { loop, stream, peer in
      peer.setReceiveBuffer(65_536)
      let pattern = Pattern(seed: 69)
      try peer.shutdownWriting()
      #expect(try await stream.read() == nil)
      let writing = loop.task { _ in try await stream.write(pattern.bytes(count: 2_000_000)) }
      await expectEventually { stream.queuedBytes > 0 }
      let reader = SlowPeer(peer, pace: .slow(bytes: 65_536, rest: .milliseconds(1)), expecting: pattern)
      await stream.closeGracefully(within: Self.never)
      try await writing.value
      let (count, difference) = try await reader.finish()
      #expect(count == 2_000_000)
      #expect(difference == nil)
    }
  }

  @Test func `L-68 an end that was begun before is awaited, with what is queued before it`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let writing = loop.task { _ in try await stream.write([1]) }
      await expectEventually { transport.pending == 1 }
      let end = loop.task { _ in try await stream.finishWriting() }
      try await expectEventually { try errorCode { _ = try stream.enqueue([]) } == .brokenPipe }
      let reading = loop.task { _ in try await stream.read() }
      await expectEventually { stream.inner.reader.isAwaited }
      transport.bringEnd()
      #expect(try await reading.value == nil)
      let closings = (0..<2).map { _ in loop.task { _ in await stream.closeGracefully(within: Self.never) } }
      try await iterate(loop)
      #expect(!stream.isClosed)
      // Though who has begun it is gone.
      end.cancel()
      try await expectCancelled { try await end.value }
      transport.endWrite()
      try await writing.value
      #expect(!stream.isClosed && transport.isFinishing)
      transport.endFinish()
      for closing in closings { await closing.value }
      #expect(stream.isClosed && transport.taken == [1])
    }
  }

  @Test func `L-68 it waits for the peer's end, drops what comes, and two of them do`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let closings = (0..<2).map { _ in loop.task { _ in await stream.closeGracefully(within: Self.never) } }
      await expectEventually { transport.isFinishing }
      transport.endFinish()
      try await iterate(loop)
      for count in [100, 65_536, 10, 200_000] {
        #expect(transport.bring([UInt8](repeating: 1, count: count)) == count)
      }
      #expect(!stream.isClosed && stream.inner.reader.count == 0)
      transport.bringEnd()
      for closing in closings { await closing.value }
      #expect(stream.isClosed && transport.isClosed)
    }
  }

  @Test func `L-68 a reader beside it gets its bytes`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let reading = loop.task { _ in try await stream.read(upTo: 2) }
      await expectEventually { stream.inner.reader.isAwaited }
      let closing = loop.task { _ in await stream.closeGracefully(within: Self.never) }
      await expectEventually { transport.isFinishing }
      transport.endFinish()
      transport.bring([1, 2, 3, 4])
      let begun = try await reading.value
      #expect(begun == [1, 2])
      #expect(try await stream.read() == [3, 4])
      // Nobody reads now. What comes is dropped, and nobody takes what follows for it.
      transport.bring([5])
      try await expectCode(.handleClosed) { _ = try await stream.read() }
      transport.bring([6])
      try await expectCode(.handleClosed) { _ = try await stream.readLine() }
      #expect(!stream.isClosed)
      transport.bringEnd()
      await closing.value
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-69 a peer that never ends is dropped after the limit`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try await stream.write("bye")
      let start = loop.clock.now
      await stream.closeGracefully(within: .milliseconds(30))
      #expect(start.duration(to: loop.clock.now) >= .milliseconds(30))
      #expect(stream.isClosed)
      #expect(try peer.receiveAll() == Array("bye".utf8))
    }
  }

  @Test(arguments: [Duration.zero, .seconds(-1)])
  func `L-69 with a limit of zero or less it waits for nobody`(limit: Duration) async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      try await stream.write("bye")
      await stream.closeGracefully(within: limit)
      #expect(stream.isClosed)
      #expect(try peer.receiveAll() == Array("bye".utf8))
    }
  }

  @Test(arguments: StreamSetting.of([.unix, .tcp]))
  func `L-69 a peer that takes nothing is dropped after the limit, with what is queued`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let writing = loop.task { _ in
        try await errorCode { try await stream.write([UInt8](repeating: 1, count: 32 << 20)) }
      }
      await expectEventually { stream.queuedBytes > 0 }
      await stream.closeGracefully(within: .milliseconds(30))
      let ending = try await writing.value
      #expect(ending == .handleClosed)
      #expect(stream.isClosed && stream.queuedBytes == 0)
    }
  }

  @Test func `L-69 on virtual time the limit is over when the time is moved over it`() async throws {
    try await onScriptedStream(time: .manual) { loop, stream, transport in
      let closing = loop.task { _ in await stream.closeGracefully(within: .seconds(3_600)) }
      await expectEventually { transport.isFinishing }
      transport.endFinish()
      try await loop.advance(by: .seconds(3_599))
      #expect(!stream.isClosed)
      try await loop.advance(by: .seconds(1))
      await closing.value
      #expect(stream.isClosed && loop.probe.timers == 0)
    }
  }

  @Test(arguments: [true, false])
  func `L-69 when its task is cancelled it closes at once`(isOnLoop: Bool) async throws {
    try await onScriptedStream { loop, stream, transport in
      let closing =
        isOnLoop
        ? loop.task { _ in await stream.closeGracefully(within: Self.never) }
        : Task.detached { await stream.closeGracefully(within: Self.never) }
      await expectEventually { transport.isFinishing }
      closing.cancel()
      await closing.value
      #expect(stream.isClosed && loop.probe.timers == 0)
    }
  }

  @Test(arguments: [true, false])
  func `L-69 in a task that is cancelled already it closes at once`(isOnLoop: Bool) async throws {
    try await onScriptedStream { loop, stream, transport in
      let body: @Sendable () async -> Void = {
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        await stream.closeGracefully(within: Self.never)
      }
      if isOnLoop { await loop.task { _ in await body() }.value } else { await Task.detached { await body() }.value }
      #expect(stream.isClosed && !transport.isFinishing)
    }
  }

  @Test func `it ends when somebody else closes the stream`() async throws {
    for isFinished in [false, true] {
      try await onScriptedStream { loop, stream, transport in
        let closing = loop.task { _ in await stream.closeGracefully(within: Self.never) }
        await expectEventually { transport.isFinishing }
        if isFinished { transport.endFinish() }
        stream.close()
        await closing.value
        await stream.closeGracefully(within: Self.never)
        #expect(loop.probe.timers == 0)
      }
    }
  }

  @Test func `it ends when the writing fails, or is torn`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let closing = loop.task { _ in await stream.closeGracefully(within: Self.never) }
      await expectEventually { transport.isFinishing }
      transport.endFinish(UVError(.connectionReset, call: "finishWriting", "The peer has gone."))
      await closing.value
      #expect(stream.isClosed)
    }
    try await onScriptedStream { loop, stream, transport in
      let writing = loop.task { _ in try await stream.write([UInt8](repeating: 1, count: 100_000)) }
      await expectEventually { transport.pending != nil }
      writing.cancel()
      try await expectCancelled { try await writing.value }
      await stream.closeGracefully(within: Self.never)
      #expect(stream.isClosed)
    }
  }

  @Test func `it ends when the reading fails`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let closing = loop.task { _ in await stream.closeGracefully(within: Self.never) }
      await expectEventually { transport.isFinishing }
      transport.endFinish()
      transport.bringEnd(UVError(.connectionReset, call: "read", "The peer has gone."))
      await closing.value
      #expect(stream.isClosed)
    }
  }

  @Test(arguments: [true, false], [Duration.seconds(1_000_000), .seconds(Int64.max)])
  func `L-85 a shutdown ends it, whoever waits`(isFinished: Bool, limit: Duration) async throws {
    try await withTestLoop { loop, _ in
      let (stream, closing) = await loop.run { loop in
        let transport = ScriptedTransport(on: loop)
        let stream = ByteStream(over: transport, on: loop)
        let closing = Task.detached { await stream.closeGracefully(within: limit) }
        await expectEventually { transport.isFinishing }
        if isFinished { transport.endFinish() }
        return (stream, closing)
      }
      // One of the loop's tasks waits for it, and is awaited.
      let follower = loop.task { _ in await closing.value }
      await loop.shutdown()
      await follower.value
      #expect(stream.isClosed)
    }
  }

  @Test(arguments: StreamSetting.of([.tcp, .unix]), [true, false])
  func `L-89 a peer that closes, or resets, ends it at once`(setting: StreamSetting, isReset: Bool) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try await stream.write("something")
      let closing = loop.task { _ in await stream.closeGracefully(within: Self.never) }
      if isReset { peer.reset() } else { peer.close() }
      await closing.value
      #expect(stream.isClosed)
    }
  }

  // MARK: Serving

  @Test func `L-68 a client of serve that sends on gets the whole answer`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let answer = Pattern(seed: 1).bytes(count: 500_000)
      let serving = Task { try await listener.serve { _, stream in try await stream.write(answer) } }
      let port = try #require(listener.address.port)
      let received = try await onPlainThread {
        let client = try PlainSocket(connectingTo: .ipv4(port: port))
        for _ in 0..<20 { try client.sendAll([UInt8](repeating: 1, count: 50_000)) }
        return try client.receiveAll()
      }
      #expect(received == answer)
      listener.close()
      try await serving.value
    }
  }

  @Test func `L-69 a client of serve that never closes is dropped after closeTimeout, under cancellation at once`()
    async throws
  {
    for isCancelled in [false, true] {
      try await withTestLoop { loop, _ in
        let listener = try await loop.listen(on: .loopback(port: 0))
        let hasAnswered = Event("the answer")
        let closeTimeout = isCancelled ? Self.never : .milliseconds(30)
        let serving = Task {
          try await listener.serve(closeTimeout: closeTimeout) { _, stream in
            try await stream.write("bye")
            hasAnswered.signal()
          }
        }
        let client = try PlainSocket(connectingTo: .ipv4(port: try #require(listener.address.port)))
        try await hasAnswered.wait()
        if isCancelled { serving.cancel() }
        #expect(try await onPlainThread { try client.receiveAll() } == Array("bye".utf8))
        // It has got the end before; what it sends shows that nobody is there any more.
        try await expectEventually {
          do { _ = try client.sendNow([1][...]) } catch is PlainFailure { return true }
          return false
        }
        if isCancelled { try await expectCancelled { try await serving.value } }
        listener.close()
        if !isCancelled { try await serving.value }
      }
    }
  }
}
