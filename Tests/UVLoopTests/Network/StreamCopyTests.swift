import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Bytes that go from one stream to another.
@Suite(.sideBySide) struct StreamCopyTests {
  /// Two connections: from a client to us, and from us to a server.
  private struct Pair {
    let near: ByteStream
    let far: ByteStream
    let client: PlainSocket
    let server: PlainSocket

    func close() {
      near.close()
      far.close()
    }
  }

  private static func connect(
    _ near: StreamKind, _ far: StreamKind, on loop: isolated EventLoop
  ) async throws -> Pair {
    let (first, client) = try await near.connect(on: loop, seed: 1)
    let (second, server) = try await far.connect(on: loop, seed: 2)
    return Pair(near: first, far: second, client: client, server: server)
  }

  private static let kinds: [(StreamKind, StreamKind)] = [
    (.tcp, .tcp), (.unix, .tcp), (.tcp, .transforming), (.fragmenting, .unix), (.unix, .fragmenting),
  ]

  @Test(arguments: kinds)
  func `L-81 a copy is the same, says how many bytes it was, and passes on the end`(
    near: StreamKind, far: StreamKind
  ) async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(near, far, on: loop)
      defer { pair.close() }
      let pattern = Pattern(seed: 81)
      let sender = Task {
        try await onPlainThread {
          for round in 0..<30 { try pair.client.sendAll(pattern.bytes(at: round * 20_000, count: 20_000)) }
          try pair.client.shutdownWriting()
        }
      }
      let reader = SlowPeer(pair.server, pace: .slow(bytes: 50_000, rest: .milliseconds(1)), expecting: pattern)
      #expect(try await pair.near.copy(to: pair.far) == 600_000)
      try await sender.value
      let (count, difference) = try await reader.finish()
      #expect(count == 600_000)
      #expect(difference == nil)
      #expect(pair.near.bytesRead == 600_000 && pair.far.bytesWritten == 600_000)
      #expect(!pair.near.isClosed && !pair.far.isClosed)
      try await expectCode(.brokenPipe) { try await pair.far.write([1]) }
      try await pair.near.write([1])
    }
  }

  @Test func `L-81 a target that is slow holds up the source, and not only what is in between`() async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.unix, .unix, on: loop)
      defer { pair.close() }
      let pattern = Pattern(seed: 4)
      let copying = loop.task { _ in try await pair.near.copy(to: pair.far) }
      let sent = Counter()
      let sender = Task {
        try await onPlainThread {
          for round in 0..<400 {
            try pair.client.sendAll(pattern.bytes(at: round * 10_000, count: 10_000))
            sent.add(10_000)
          }
          try pair.client.shutdownWriting()
        }
      }
      await expectEventually { pair.far.inner.writer.waitingSince != nil }
      // Two buffers of the kernel's and what is between them are less than this.
      #expect(sent.value < 3_000_000)
      #expect(pair.near.bytesRead - pair.far.bytesWritten <= LoopNetwork.blockSize)
      let reader = SlowPeer(pair.server, pace: .full, expecting: pattern)
      #expect(try await copying.value == 4_000_000)
      try await sender.value
      let (count, difference) = try await reader.finish()
      #expect(count == 4_000_000)
      #expect(difference == nil)
    }
  }

  @Test func `L-81 what was given back to the source comes first`() async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.unix, .unix, on: loop)
      defer { pair.close() }
      try pair.near.unread(Array("given back, ".utf8), isolation: loop)
      try pair.client.sendAll("sent")
      try pair.client.shutdownWriting()
      #expect(try await pair.near.copy(to: pair.far) == 16)
      #expect(try pair.server.receiveAll() == Array("given back, sent".utf8))
    }
  }

  @Test func `L-81 a stream that is copied to itself is an echo`() async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      let copying = loop.task { _ in try await stream.copy(to: stream) }
      let bytes = Pattern(seed: 2).bytes(count: 300_000)
      let echo = try await onPlainThread {
        let echo = try peer.exchange(bytes)
        try peer.shutdownWriting()
        return (echo, try peer.receiveAll())
      }
      #expect(echo.0 == bytes && echo.1.isEmpty)
      #expect(try await copying.value == 300_000)
    }
  }

  @Test func `L-81 a copy across loops, called on either or on none`() async throws {
    for place in 0..<3 {
      try await withTestLoop("near") { near, _ in
        try await withTestLoop("far") { far, _ in
          let (source, client) = try await near.run { loop in try await StreamKind.tcp.connect(on: loop) }
          let (target, server) = try await far.run { loop in try await StreamKind.unix.connect(on: loop) }
          let pattern = Pattern(seed: UInt64(place))
          PlainThread {
            for round in 0..<10 { try? client.sendAll(pattern.bytes(at: round * 30_000, count: 30_000)) }
            try? client.shutdownWriting()
          }
          let reader = SlowPeer(server, pace: .slow(bytes: 30_000, rest: .milliseconds(1)), expecting: pattern)
          let copied =
            switch place {
            case 0: try await near.run { _ in try await source.copy(to: target) }
            case 1: try await far.run { _ in try await source.copy(to: target) }
            default: try await source.copy(to: target)
            }
          #expect(copied == 300_000)
          let (count, difference) = try await reader.finish()
          #expect(count == 300_000)
          #expect(difference == nil)
          source.close()
          target.close()
        }
      }
    }
  }

  // MARK: What goes wrong

  @Test func `L-81 an error of the target leaves the source open, and what was not taken in it`() async throws {
    try await onTestLoop { loop, _ in
      let (source, target) = (ScriptedTransport(on: loop), ScriptedTransport(on: loop))
      let (near, far) = (ByteStream(over: source, on: loop), ByteStream(over: target, on: loop))
      try await far.finishWritingNow(target, on: loop)
      let copying = loop.task { _ in try await near.copy(to: far) }
      await expectEventually { near.inner.reader.isAwaited }
      source.bring([1, 2, 3])
      try await expectCode(.brokenPipe) { _ = try await copying.value }
      #expect(try await near.read() == [1, 2, 3])
      near.close()
      far.close()
    }
  }

  @Test func `L-81 an error of the source does not end the target`() async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.tcp, .unix, on: loop)
      defer { pair.close() }
      let copying = loop.task { _ in try await pair.near.copy(to: pair.far) }
      await expectEventually { pair.near.inner.reader.isAwaited }
      pair.client.reset()
      try await expectCode(.connectionReset) { _ = try await copying.value }
      try await pair.far.write("still open")
      #expect(try pair.server.receive(exactly: 10) == Array("still open".utf8))
    }
  }

  @Test(arguments: [true, false])
  func `L-81 cancelled, a copy ends where it waits, and the target is not ended`(isReading: Bool) async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.unix, .unix, on: loop)
      defer { pair.close() }
      if !isReading { try pair.far.fill(isolation: loop) }
      let copying = loop.task { _ in try await pair.near.copy(to: pair.far) }
      await expectEventually { pair.near.inner.reader.isAwaited }
      if !isReading {
        try pair.client.sendAll([1, 2, 3])
        await expectEventually { pair.far.inner.writer.waitingSince != nil }
      }
      copying.cancel()
      try await expectCancelled { _ = try await copying.value }
      let before = pair.far.bytesWritten
      try pair.server.drain()
      try await pair.far.write([4])
      // What was on its way goes out whole.
      #expect(pair.far.bytesWritten == before + (isReading ? 1 : 4))
    }
  }

  @Test func `L-81 cancelled with more than a write that is never cut, a copy loses nothing and cuts nothing`()
    async throws
  {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.unix, .unix, on: loop)
      defer { pair.close() }
      let bytes = Pattern(seed: 5).bytes(count: 300_000)
      let filled = try pair.far.fill(isolation: loop)
      try pair.near.unread(bytes)
      let copying = loop.task { _ in try await pair.near.copy(to: pair.far) }
      await expectEventually { pair.far.inner.writer.waitingSince != nil }
      copying.cancel()
      try await expectCancelled { _ = try await copying.value }
      let rest = try pair.near.takeBuffered()
      let received = Task { try await onPlainThread { try pair.server.receiveAll() } }
      try await pair.far.write([1, 2, 3])
      try await pair.far.finishWriting()
      let expected = [UInt8](repeating: 7, count: filled) + bytes.dropLast(rest.count) + [1, 2, 3]
      #expect(try await received.value == expected)
      #expect(rest.count >= bytes.count - StreamWriter.wholeSize && bytes.suffix(rest.count) == rest[...])
    }
  }

  @Test func `L-81 cancelled behind another write, a copy gives back what was not taken`() async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.unix, .unix, on: loop)
      defer { pair.close() }
      try pair.far.fill(isolation: loop)
      let writing = loop.task { _ in try await pair.far.write([1, 2, 3]) }
      await expectEventually { pair.far.queuedBytes == 3 }
      let copying = loop.task { _ in try await pair.near.copy(to: pair.far) }
      try pair.client.sendAll([7, 8, 9])
      await expectEventually { pair.far.queuedBytes == 6 }
      copying.cancel()
      try await expectCancelled { _ = try await copying.value }
      #expect(pair.far.queuedBytes == 3)
      #expect(try await pair.near.read() == [7, 8, 9])
      pair.far.close()
      try await expectCode(.handleClosed) { try await writing.value }
    }
  }

  @Test func `L-81 while a copy waits for its target nobody else reads, and the source is not detached`() async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.unix, .unix, on: loop)
      defer { pair.close() }
      try pair.far.fill(isolation: loop)
      let copying = loop.task { _ in try await pair.near.copy(to: pair.far) }
      try pair.client.sendAll([1, 2, 3])
      await expectEventually { pair.far.inner.writer.waitingSince != nil }
      try await expectCode(.busy) { _ = try await pair.near.read() }
      try expectCode(.busy) {
        try pair.near.startReading(isolation: loop) { _ in
        } atEnd: { _ in
        }
      }
      try await expectCode(.busy) { _ = try await pair.near.detach() }
      try pair.server.drain()
      try pair.client.shutdownWriting()
      #expect(try await copying.value == 3)
      #expect(try await pair.near.read() == nil)
    }
  }

  @Test func `L-81 a copy from or to a stream that is closed throws handleClosed`() async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.unix, .unix, on: loop)
      let copying = loop.task { _ in try await pair.near.copy(to: pair.far) }
      await expectEventually { pair.near.inner.reader.isAwaited }
      pair.near.close()
      try await expectCode(.handleClosed) { _ = try await copying.value }
      try await expectCode(.handleClosed) { try await pair.near.copy(to: pair.far) }
      try pair.server.sendAll([1])
      try await expectCode(.handleClosed) { try await pair.far.copy(to: pair.near) }
      pair.far.close()
    }
  }

  // MARK: Relay

  @Test(arguments: kinds)
  func `L-81 a relay passes on each half-close by itself, and counts both ways`(
    near: StreamKind, far: StreamKind
  ) async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(near, far, on: loop)
      defer { pair.close() }
      let relaying = loop.task { _ in try await pair.near.relay(with: pair.far) }
      let question = Pattern(seed: 1).bytes(count: 100_000)
      let answer = Pattern(seed: 2).bytes(count: 200_000)
      let asking = Task {
        try await onPlainThread {
          try pair.client.sendAll(question)
          try pair.client.shutdownWriting()
          return try pair.client.receiveAll()
        }
      }
      let answering = Task {
        try await onPlainThread {
          // The end comes though the other way is open.
          let received = try pair.server.receiveAll()
          try pair.server.sendAll(answer)
          try pair.server.shutdownWriting()
          return received
        }
      }
      #expect(try await answering.value == question)
      #expect(try await asking.value == answer)
      let (there, back) = try await relaying.value
      #expect(there == 100_000 && back == 200_000)
      #expect(!pair.near.isClosed && !pair.far.isClosed)
    }
  }

  @Test(arguments: [true, false])
  func `L-81 an error of one way of a relay resets both streams`(isNear: Bool) async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.tcp, .tcp, on: loop)
      let relaying = loop.task { _ in try await pair.near.relay(with: pair.far) }
      await expectEventually { pair.near.inner.reader.isAwaited && pair.far.inner.reader.isAwaited }
      (isNear ? pair.client : pair.server).reset()
      try await expectCode(.connectionReset) { _ = try await relaying.value }
      #expect(pair.near.isClosed && pair.far.isClosed)
      let other = isNear ? pair.server : pair.client
      await #expect(throws: PlainFailure("recv", errno: ECONNRESET)) { try await onPlainThread { try other.receive() } }
    }
  }

  @Test func `L-81 a relay whose task is cancelled resets both streams`() async throws {
    try await onTestLoop { loop, _ in
      let pair = try await Self.connect(.tcp, .tcp, on: loop)
      let relaying = loop.task { _ in try await pair.near.relay(with: pair.far) }
      await expectEventually { pair.near.inner.reader.isAwaited && pair.far.inner.reader.isAwaited }
      relaying.cancel()
      try await expectCancelled { _ = try await relaying.value }
      for peer in [pair.client, pair.server] {
        await #expect(throws: PlainFailure("recv", errno: ECONNRESET)) {
          try await onPlainThread { try peer.receive() }
        }
      }
    }
  }

  @MainActor @Test func `L-81 a relay may be called anywhere`() async throws {
    try await withTestLoop { loop, _ in
      let pair = try await loop.run { loop in try await Self.connect(.unix, .tcp, on: loop) }
      PlainThread {
        try? pair.client.sendAll("ping")
        try? pair.client.shutdownWriting()
      }
      PlainThread {
        try? pair.server.sendAll((try? pair.server.receiveAll()) ?? [])
        try? pair.server.shutdownWriting()
      }
      let (there, back) = try await pair.near.relay(with: pair.far)
      MainActor.preconditionIsolated()
      #expect(there == 4 && back == 4)
      pair.close()
    }
  }
}

extension ByteStream {
  /// Ends the writing of a stream over a scripted transport.
  fileprivate func finishWritingNow(_ transport: ScriptedTransport, on loop: isolated EventLoop) async throws {
    let end = loop.task { _ in try await self.finishWriting() }
    await expectEventually { transport.isFinishing }
    transport.endFinish()
    try await end.value
  }
}
