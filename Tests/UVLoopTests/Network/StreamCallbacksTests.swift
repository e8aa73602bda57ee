import Testing

@testable import UVLoop

/// Reading by callbacks.
@Suite(.sideBySide) struct StreamCallbacksTests {
  /// What the callbacks of one stream have seen.
  private final class Seen {
    var bytes: [UInt8] = []
    var calls = 0
    var ends: [UVError.Code?] = []

    var text: String { String(decoding: bytes, as: UTF8.self) }

    func receive(_ span: RawSpan) {
      calls += 1
      #expect(span.byteCount > 0)
      bytes += [UInt8](span)
    }
  }

  private static func start(
    _ seen: Seen, on stream: ByteStream, isolation: isolated any LoopActor = #isolation
  ) throws {
    try stream.startReading {
      seen.receive($0)
    } atEnd: {
      seen.ends.append($0?.code)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-13 callbacks get every byte in order, then the end, once`(setting: StreamSetting) async throws {
    let pattern = Pattern(seed: 13)
    try await onTestStream(setting) { loop, stream, peer in
      async let sent: Void = onPlainThread {
        try peer.sendAll(pattern.bytes(count: 200_000))
        try peer.shutdownWriting()
      }
      let seen = Seen()
      try Self.start(seen, on: stream)
      while seen.ends.isEmpty { try await iterate(loop, times: 1) }
      try await iterate(loop)
      #expect(seen.ends == [nil])
      #expect(seen.bytes.count == 200_000)
      #expect(pattern.firstDifference(in: seen.bytes) == nil)
      #expect(try await stream.read() == nil)
      try await sent
    }
  }

  @Test(arguments: StreamSetting.of(StreamKind.overTCP))
  func `L-54 callbacks get the bytes before a reset, then the error, once`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let seen = Seen()
      try Self.start(seen, on: stream)
      try peer.sendAll("abc")
      await expectArrived(3, at: stream)
      peer.reset()
      while seen.ends.isEmpty { try await iterate(loop, times: 1) }
      try await iterate(loop)
      #expect(seen.text == "abc")
      #expect(seen.ends == [.connectionReset])
      try await expectCode(.connectionReset) { _ = try await stream.read() }
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-44 beside callbacks nobody reads, and no other callbacks do`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let (seen, other) = (Seen(), Seen())
      try Self.start(seen, on: stream)
      try expectCode(.busy) { try Self.start(other, on: stream, isolation: loop) }
      try await expectCode(.busy) { _ = try await stream.read() }
      try await expectCode(.busy) { _ = try await stream.readLine() }
      try peer.sendAll("abc")
      await expectArrived(3, at: stream)
      stream.stopReading()
      stream.stopReading()
      try Self.start(other, on: stream)
      try peer.sendAll("def")
      await expectArrived(6, at: stream)
      stream.stopReading()
      try peer.sendAll("ghi")
      #expect(try await stream.read(exactly: 3) == Array("ghi".utf8))
      #expect(seen.text == "abc" && other.text == "def")
      #expect(seen.ends.isEmpty && other.ends.isEmpty)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `after a stop in the callback nothing more comes, and what follows is for the next reader`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let seen = Seen()
      try stream.startReading {
        seen.receive($0)
        stream.stopReading(isolation: loop)
      } atEnd: {
        seen.ends.append($0?.code)
      }
      try peer.sendAll("abcdef")
      await expectEventually { seen.calls == 1 }
      try await iterate(loop, times: 10)
      try peer.sendAll("ghi")
      try peer.shutdownWriting()
      try await iterate(loop, times: 10)
      #expect(seen.calls == 1 && seen.ends.isEmpty)
      let rest = try await stream.readAll(limit: 100)
      #expect(seen.bytes + rest == Array("abcdefghi".utf8))
    }
  }

  @Test(arguments: StreamSetting.all)
  func `a callback may hand over to another`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let (seen, other) = (Seen(), Seen())
      try stream.startReading {
        seen.receive($0)
        stream.stopReading(isolation: loop)
        do { try Self.start(other, on: stream, isolation: loop) } catch { Issue.record(error) }
      } atEnd: {
        seen.ends.append($0?.code)
      }
      try peer.sendAll("abcdef")
      await expectArrived(6, at: stream)
      try peer.sendAll("ghi")
      try peer.shutdownWriting()
      while other.ends.isEmpty { try await iterate(loop, times: 1) }
      #expect(seen.bytes + other.bytes == Array("abcdefghi".utf8))
      #expect(seen.calls == 1 && seen.ends.isEmpty && other.ends == [nil])
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-50 callbacks get what is held first, and what is given back while they read`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let seen = Seen()
      try stream.unread(Array("one ".utf8))
      try peer.sendAll("two ")
      try Self.start(seen, on: stream)
      #expect(seen.calls == 0, "not within the call")
      await expectEventually { seen.bytes.count == 8 }
      try stream.unread(Array("three ".utf8))
      try peer.sendAll("four")
      await expectEventually { seen.bytes.count == 18 }
      #expect(seen.text == "one two three four")
      #expect(seen.ends.isEmpty)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-50 what a callback gives back comes before what the kernel has behind it`(
    setting: StreamSetting
  ) async throws {
    let pattern = Pattern(seed: 50)
    let total = 150_000
    try await onTestStream(setting) { loop, stream, peer in
      async let sent: Void = onPlainThread {
        try peer.sendAll(pattern.bytes(count: total))
        try peer.shutdownWriting()
      }
      // Enough for two reads in one poll.
      try await loop.sleep(for: .milliseconds(20))
      let seen = Seen()
      var cuts: [Int] = []
      try stream.startReading { span in
        seen.receive(span)
        // First where more is behind, and then where the end is.
        if cuts.isEmpty || cuts.count == 1 && seen.bytes.count == total + 3 {
          cuts.append(seen.bytes.count)
          do { try stream.unread([1, 2, 3], isolation: loop) } catch { Issue.record(error) }
        }
      } atEnd: {
        seen.ends.append($0?.code)
      }
      while seen.ends.isEmpty { try await iterate(loop, times: 1) }
      var expected = pattern.bytes(count: total)
      for cut in cuts { expected.insert(contentsOf: [1, 2, 3], at: cut) }
      #expect(seen.bytes.count == total + 6)
      let isWhole = seen.bytes == expected
      #expect(isWhole)
      try await sent
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-53 callbacks that start after the end get what is held, and the end`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.shutdownWriting()
      #expect(try await stream.read() == nil)
      for round in 0..<2 {
        let seen = Seen()
        if round == 1 { try stream.unread([7]) }
        try Self.start(seen, on: stream)
        #expect(seen.ends.isEmpty, "not within the call")
        await expectEventually { !seen.ends.isEmpty }
        try await iterate(loop)
        #expect(seen.ends == [nil])
        #expect(seen.bytes == (round == 0 ? [] : [7]))
      }
    }
  }

  @Test(arguments: StreamSetting.all)
  func `callbacks are released by a stop, by the end and by a close, which calls none`(
    setting: StreamSetting
  ) async throws {
    let gone = Counter()
    try await onTestStream(setting) { loop, stream, peer in
      func start(_ isolation: isolated EventLoop) throws -> Counter {
        let (witness, calls) = (Witness(gone), Counter())
        try stream.startReading { _ in
          witness.hold()
        } atEnd: { _ in
          witness.hold()
          calls.add()
        }
        return calls
      }
      let stopped = try start(loop)
      #expect(gone.value == 0)
      stream.stopReading()
      #expect(gone.value == 1)
      let ended = try start(loop)
      try peer.shutdownWriting()
      await expectEventually { gone.value == 2 }
      #expect(stopped.value == 0 && ended.value == 1)
    }
    try await onTestStream(setting) { loop, stream, peer in
      let seen = Seen()
      let witness = Witness(gone)
      try stream.startReading { [witness] in
        witness.hold()
        seen.receive($0)
        stream.close()
      } atEnd: {
        seen.ends.append($0?.code)
      }
      _ = consume witness
      try peer.sendAll("abc")
      await expectEventually { gone.value == 3 }
      #expect(seen.calls == 1)
      try await iterate(loop)
      #expect(seen.ends.isEmpty && seen.calls == 1)
    }
  }
}
