import Testing

@testable import UVLoop

/// Writes to a peer that has gone.
@Suite(.sideBySide) struct StreamErrorTests {
  /// Writes until that fails: with what.
  private static func errorOfWriting(
    to stream: ByteStream, isolation: isolated (any Actor)? = #isolation
  ) async throws -> UVError.Code? {
    for _ in 0..<10_000 {
      if let code = try await errorCode({ try await stream.write([UInt8](repeating: 1, count: 1_000)) }) { return code }
    }
    return nil
  }

  @Test(arguments: StreamSetting.of(StreamKind.overTCP), [true, false])
  func `L-08 writing to a peer that has reset, or closed, throws the same code again and again, and no signal comes`(
    setting: StreamSetting, isReset: Bool
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      if isReset { peer.reset() } else { peer.close() }
      let code = try #require(try await Self.errorOfWriting(to: stream))
      #expect([.brokenPipe, .connectionReset].contains(code))
      try await expectCode(code) { try await stream.write([1]) }
      try await expectCode(code) { try await stream.finishWriting() }
      try expectCode(code) { _ = try stream.tryWrite([1], isolation: loop) }
      try expectCode(code) { _ = try stream.enqueue([1]) }
      #expect(!stream.isClosed)
    }
  }

  @Test func `L-08 writing to a Unix peer that has closed throws brokenPipe`() async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      // Also where a process that is just being started has the descriptor still.
      peer.abort()
      peer.close()
      try await expectCode(.brokenPipe) { try await stream.write([1]) }
      try await expectCode(.brokenPipe) { try await stream.write([1]) }
      #expect(try await stream.read() == nil)
    }
  }

  @Test(arguments: [true, false])
  func `L-08 a write that waits ends with the code when the peer goes`(isReset: Bool) async throws {
    try await onTestStream(StreamSetting(kind: .tcp, isInline: true)) { loop, stream, peer in
      let writers = (0..<3).map { _ in
        loop.task { _ in try await errorCode { try await stream.write([UInt8](repeating: 1, count: 32 << 20)) } }
      }
      let ending = loop.task { _ in try await errorCode { try await stream.finishWriting() } }
      await expectEventually { stream.queuedBytes > 64 << 20 }
      // What it has not read makes its close a reset too.
      if isReset { peer.reset() } else { peer.close() }
      for writer in writers + [ending] {
        let code = try await writer.value
        #expect([.brokenPipe, .connectionReset].contains(code))
      }
      #expect(stream.queuedBytes == 0)
    }
  }

  @Test func `a write that fails leaves the bytes that can be read`() async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      try peer.sendAll("last words")
      peer.close()
      try await expectCode(.brokenPipe) { try await stream.write([1]) }
      #expect(try await stream.readAll(limit: 100) == Array("last words".utf8))
    }
  }

  @Test(arguments: [true, false])
  func `L-54 a reset of which a write was told is no end to who reads`(isRead: Bool) async throws {
    try await onTestStream(StreamSetting(kind: .tcp, isInline: true)) { loop, stream, peer in
      peer.reset()
      #expect(try await Self.errorOfWriting(to: stream) == .connectionReset)
      if isRead {
        try await expectCode(.connectionReset) { _ = try await stream.read() }
      } else {
        var bytes: [UInt8] = []
        try expectCode(.connectionReset) { _ = try stream.tryRead(into: &bytes, isolation: loop) }
      }
      try await expectCode(.connectionReset) { _ = try await stream.read() }
    }
  }

  @Test(arguments: StreamSetting.of([.tcp]))
  func `L-89 a reset behind an end that was read is seen by the next write, and by a graceful close`(
    setting: StreamSetting
  ) async throws {
    for isWrite in [true, false] {
      try await onTestStream(setting) { loop, stream, peer in
        try peer.shutdownWriting()
        #expect(try await stream.read() == nil)
        peer.reset()
        if isWrite {
          let code = try #require(try await Self.errorOfWriting(to: stream))
          #expect([.brokenPipe, .connectionReset].contains(code))
        } else {
          await stream.closeGracefully(within: .seconds(100_000))
          #expect(stream.isClosed)
        }
      }
    }
  }

  @Test func `L-89 a graceful close whose writes wait ends with a reset behind the end`() async throws {
    try await onTestStream(StreamSetting(kind: .tcp, isInline: true)) { loop, stream, peer in
      try peer.shutdownWriting()
      #expect(try await stream.read() == nil)
      let writing = loop.task { _ in
        try await errorCode { try await stream.write([UInt8](repeating: 1, count: 32 << 20)) }
      }
      await expectEventually { stream.queuedBytes > 0 }
      peer.reset()
      await stream.closeGracefully(within: .seconds(100_000))
      #expect(try await writing.value != nil)
    }
  }
}
