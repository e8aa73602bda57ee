import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How the writing ends, and the stream.
@Suite(.sideBySide) struct StreamEndTests {
  @Test(arguments: StreamSetting.all)
  func `L-11 what was written before the end arrives before the peer sees it`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let pattern = Pattern(seed: 11)
      let reader = SlowPeer(peer, pace: .slow(bytes: 50_000, rest: .microseconds(200)), expecting: pattern)
      let writers = (0..<10).map { number in
        loop.task { _ in try await stream.write(pattern.bytes(at: number * 50_000, count: 50_000)) }
      }
      // Tasks begin in the order in which they were made.
      try await loop.task { _ in try await stream.finishWriting() }.value
      for writer in writers { try await writer.value }
      let (count, difference) = try await reader.finish()
      #expect(count == 500_000)
      #expect(difference == nil)
      #expect(!stream.isClosed)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-10 after the end a write throws brokenPipe, and a second end socketNotConnected`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try await stream.finishWriting()
      for _ in 0..<2 {
        try await expectCode(.brokenPipe) { try await stream.write([1]) }
        try await expectCode(.brokenPipe) { try await stream.write([]) }
        try await expectCode(.socketNotConnected) { try await stream.finishWriting() }
        try expectCode(.brokenPipe) { _ = try stream.tryWrite([1], isolation: loop) }
      }
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-11 the end of writing ends no reading`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try await stream.write("question")
      try await stream.finishWriting()
      let bytes = Pattern(seed: 1).bytes(count: 100_000)
      let answer = Task {
        try await onPlainThread {
          let question = try peer.receiveAll()
          try peer.sendAll(bytes)
          try peer.shutdownWriting()
          return question
        }
      }
      #expect(try await stream.readAll(limit: 200_000) == bytes)
      #expect(try await answer.value == Array("question".utf8))
    }
  }

  // MARK: Close

  @Test(arguments: StreamSetting.all)
  func `L-09 close ends each call that waits once, with handleClosed`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let ended = Counter()
      var tasks: [Task<UVError.Code?, any Error>] = []
      func start(_ body: @escaping @Sendable () async throws -> Void) {
        tasks.append(
          loop.task { _ in
            defer { ended.add() }
            return try await errorCode { try await body() }
          })
      }
      start { _ = try await stream.read() }
      for _ in 0..<3 { start { try await stream.write([UInt8](repeating: 1, count: 32 << 20)) } }
      start { try await stream.finishWriting() }
      try await expectEventually { try errorCode { _ = try stream.enqueue([]) } == .brokenPipe }
      #expect(ended.value == 0)
      stream.close()
      #expect(stream.isClosed && stream.queuedBytes == 0)
      for task in tasks { #expect(try await task.value == .handleClosed) }
      #expect(ended.value == 5)
      try await expectCode(.handleClosed) { try await stream.write([1]) }
      try await expectCode(.handleClosed) { try await stream.finishWriting() }
      try await expectCode(.handleClosed) { _ = try await stream.read() }
      try expectCode(.handleClosed) { _ = try stream.tryWrite([1], isolation: loop) }
      stream.close()
      stream.reset()
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-09 close on other threads, on several at once, is one close`(setting: StreamSetting) async throws {
    for round in 0..<10 {
      try await onTestStream(setting) { loop, stream, peer in
        let calls = [
          loop.task { _ in try await errorCode { _ = try await stream.read() } },
          loop.task { _ in
            try await errorCode { while true { try await stream.write([UInt8](repeating: 1, count: 70_000)) } }
          },
        ]
        if round % 2 == 0 { await expectEventually { stream.queuedBytes > 0 } }
        try await withThrowingTaskGroup(of: Void.self) { group in
          for thread in 0..<4 {
            group.addTask {
              try await onPlainThread { if thread == 3 { stream.reset() } else { stream.close() } }
            }
          }
          try await group.waitForAll()
        }
        #expect(stream.isClosed)
        for call in calls { #expect(try await call.value == .handleClosed) }
        #expect(stream.queuedBytes == 0)
      }
    }
  }

  @Test func `L-09 a task may close the stream in the middle of its own write, and of another's`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let writers = (0..<4).map { number in
        loop.task { _ in
          try await errorCode {
            try await stream.write([UInt8(number)])
            // It goes on inside the transport's callback.
            stream.close()
          }
        }
      }
      await expectEventually { stream.queuedBytes == 4 }
      transport.endWrite()
      let first = try await writers[0].value
      #expect(first == nil)
      for writer in writers[1...] {
        let code = try await writer.value
        #expect(code == .handleClosed)
      }
      #expect(transport.taken == [0] && transport.isClosed)
    }
  }

  // MARK: Reset

  @Test(arguments: StreamSetting.of(StreamKind.overTCP))
  func `L-20 after a reset the peer sees ECONNRESET, whatever was queued`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let writing = loop.task { _ in
        try await errorCode { try await stream.write([UInt8](repeating: 1, count: 32 << 20)) }
      }
      await expectEventually { stream.queuedBytes > 0 }
      stream.reset()
      let code = try await writing.value
      #expect(code == .handleClosed)
      await #expect(throws: PlainFailure("recv", errno: ECONNRESET)) {
        try await onPlainThread { try peer.receiveAll() }
      }
    }
  }

  @Test func `L-20 a reset behind the end of writing never throws, and the peer sees either`() async throws {
    for isEnded in [true, false] {
      try await onTestStream(StreamSetting(kind: .tcp, isInline: true)) { loop, stream, peer in
        let end = loop.task { _ in try await errorCode { try await stream.finishWriting() } }
        // Tasks begin in the order in which they were made.
        if isEnded { #expect(try await end.value == nil) } else { await loop.task { _ in stream.reset() }.value }
        stream.reset()
        #expect([nil, .handleClosed].contains(try await end.value))
        let seen = try await onPlainThread { () -> Int32 in
          do { return try peer.receive().isEmpty ? 0 : -1 } catch let failure as PlainFailure { return failure.errno }
        }
        #expect([0, ECONNRESET].contains(seen))
      }
    }
  }

  @Test func `L-20 of a Unix socket a reset is a close`() async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      try await stream.write("all of it")
      stream.reset()
      #expect(try peer.receiveAll() == Array("all of it".utf8))
    }
  }

  // MARK: Nobody holds it any more

  @Test(arguments: [StreamKind.tcp, .unix])
  func `L-79 a stream that is dropped without a close closes its descriptor once, on whatever thread`(
    kind: StreamKind
  ) async throws {
    try await withTestLoop { loop, _ in
      for isElsewhere in [false, true] {
        let (holder, peer) = try await loop.run { loop in
          let (stream, peer) = try await kind.connect(on: loop)
          try await stream.write("bye")
          return (Shared<ByteStream?>(stream), peer)
        }
        if isElsewhere {
          try await onPlainThread { holder.value = nil }
        } else {
          await loop.run { _ in holder.value = nil }
        }
        // A second close would hit one of these.
        let others = try (0..<20).map { _ in try PlainSocket.pair() }
        #expect(try await onPlainThread { try peer.receiveAll() } == Array("bye".utf8))
        await loop.run { _ in }
        #expect(others.allSatisfy { Posix.isOpen($0.0.descriptor) && Posix.isOpen($0.1.descriptor) })
        #expect(await loop.run { $0.probe.streams.isEmpty })
      }
    }
  }

  @Test func `L-79 a stream that is dropped after the end of its loop has no effect`() async throws {
    let holder = try await withTestLoop { loop, _ in
      try await loop.run { loop in
        let (stream, _) = try await StreamKind.unix.connect(on: loop)
        return Shared<ByteStream?>(stream)
      }
    }
    try await onPlainThread { holder.value = nil }
  }

  @Test func `L-79 what a dropped stream had queued is dropped with it`() async throws {
    try await onTestLoop { loop, _ in
      let transport = ScriptedTransport(on: loop)
      do {
        let stream = ByteStream(over: transport, on: loop)
        let isTaken = try stream.enqueue([1, 2, 3])
        #expect(isTaken)
      }
      #expect(transport.isClosed && transport.taken.isEmpty)
      try await iterate(loop)
    }
  }
}
