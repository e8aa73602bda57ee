import Testing

@testable import UVLoop

/// The forms of a read, over each kind of stream, with tasks that go on inside the callback and with queued ones.
@Suite(.sideBySide) struct StreamReadingTests {
  // MARK: What a read gives

  @Test(arguments: StreamSetting.all)
  func `L-12 all forms of a read together give every byte once, in order`(setting: StreamSetting) async throws {
    let pattern = Pattern(seed: 12)
    try await onTestStream(setting) { loop, stream, peer in
      let total = 100_000
      async let sent: Void = onPlainThread {
        try peer.sendAll(pattern.bytes(count: total))
        try peer.shutdownWriting()
      }
      var random = SplitMix(seed: 12)
      var check = PatternCheck(pattern)
      while check.count < total {
        let limit = Int.random(in: 1...5_000, using: &random)
        let bytes = try await Self.read(Int.random(in: 0..<4, using: &random), stream, limit)
        if bytes.isEmpty { break }
        #expect(bytes.count <= limit)
        check.receive(bytes)
      }
      #expect(check.count == total)
      #expect(check.firstDifference == nil)
      #expect(try await stream.read() == nil)
      #expect(stream.bytesRead == Int64(total))
      try await sent
    }
  }

  /// One of the forms; nothing at the end.
  private static func read(_ form: Int, _ stream: ByteStream, _ limit: Int) async throws -> [UInt8] {
    switch form {
    case 0: return try await stream.read(upTo: limit) ?? []
    case 1: return try await stream.read(upTo: limit) { span in [UInt8](span) } ?? []
    case 2:
      var bytes: [UInt8] = [1, 2, 3]
      let count = try await stream.read(into: &bytes, upTo: limit)
      #expect(bytes.count == 3 + count && bytes.starts(with: [1, 2, 3]))
      return Array(bytes.dropFirst(3))
    default:
      // Never waits in vain: so many bytes come in any case, or the end does.
      return try await stream.read(upTo: 1) ?? []
    }
  }

  @Test(arguments: StreamSetting.of(StreamKind.whole))
  func `what lies beyond the limit stays for the next read`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("0123456789")
      #expect(try await stream.read(upTo: 4) == Array("0123".utf8))
      #expect(try await stream.read(upTo: 4) { $0.byteCount } == 4)
      #expect(try await stream.read() == Array("89".utf8))
    }
  }

  @Test(arguments: StreamSetting.all)
  func `a limit of zero or less is invalid`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("abc")
      for limit in [0, -1] {
        try await expectCode(.invalidArgument) { _ = try await stream.read(upTo: limit) }
        try await expectCode(.invalidArgument) { _ = try await stream.read(upTo: limit) { $0.byteCount } }
        try await expectCode(.invalidArgument) {
          var buffer: [UInt8] = []
          try await stream.read(into: &buffer, upTo: limit)
        }
      }
      try await expectCode(.invalidArgument) { _ = try await stream.read(exactly: -1) }
      #expect(try await stream.read(exactly: 0) == [])
      #expect(try await stream.read(exactly: 3) == Array("abc".utf8))
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-51 what a body does not see it sees in the next call, and one that throws has consumed what it was lent`(
    setting: StreamSetting
  ) async throws {
    struct Refusal: Error, Equatable { let seen: [UInt8] }
    let text = Array("the quick brown fox".utf8)
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll(text)
      var seen: [UInt8] = []
      while seen.count < text.count {
        if seen.count.isMultiple(of: 2) {
          seen += try await stream.read(upTo: 3) { span in [UInt8](span) } ?? []
        } else {
          do {
            try await stream.read(upTo: 5) { span throws(Refusal) -> Void in
              throw Refusal(seen: [UInt8](span))
            }
            Issue.record("the body's error is gone")
          } catch let refusal as Refusal {
            seen += refusal.seen
          }
        }
      }
      #expect(seen == text)
    }
  }

  // MARK: The end

  @Test(arguments: StreamSetting.all)
  func `L-53 after the end each form says so again and again, and the stream is not closed`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("last")
      try peer.shutdownWriting()
      #expect(try await stream.readAll(limit: 10) == Array("last".utf8))
      for _ in 0..<3 {
        let iterations = loop.probe.iterations
        #expect(try await stream.read() == nil)
        #expect(try await stream.read { $0.byteCount } == nil)
        var buffer: [UInt8] = []
        #expect(try await stream.read(into: &buffer) == 0)
        #expect(try await stream.read(until: [0]) == nil)
        #expect(try await stream.readLine() == nil)
        #expect(try await stream.readFrame() == nil)
        #expect(try await stream.readAll(limit: 10) == [])
        #expect(try await stream.read(exactly: 0) == [])
        try await expectCode(.endOfFile) { _ = try await stream.read(exactly: 1) }
        try await expectCode(.endOfFile) { _ = try await stream.readInteger(as: UInt16.self) }
        #expect(loop.probe.iterations == iterations, "nothing waits")
        #expect(!stream.isClosed)
      }
      try await stream.write("still there")
      #expect(try await onPlainThread { try peer.receive(exactly: 11) } == Array("still there".utf8))
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-13 a read that waits is ended by the end, and not by anything empty`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let read = loop.task { _ in try await stream.read() }
      try await iterate(loop, times: 20)
      #expect(stream.bytesRead == 0)
      try peer.shutdownWriting()
      #expect(try await read.value == nil)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-14 the peer sends more than any buffer holds and closes: all bytes come, then the end`(
    setting: StreamSetting
  ) async throws {
    let pattern = Pattern(seed: 14)
    try await onTestStream(setting) { loop, stream, peer in
      async let sent: Void = onPlainThread {
        try peer.sendAll(pattern.bytes(count: 1_000_000))
        peer.close()
      }
      // Bytes and the end are there before the last of them is read.
      #expect(try await stream.read(exactly: 10) == pattern.bytes(count: 10))
      try await iterate(loop, times: 20)
      let rest = try await stream.readAll(limit: 1_000_000)
      #expect(rest.count == 999_990)
      #expect(pattern.firstDifference(in: rest, at: 10) == nil)
      #expect(try await stream.read() == nil)
      try await sent
      await stream.closeGracefully(within: .seconds(10))
      #expect(stream.isClosed)
    }
  }

  // MARK: Errors

  @Test(arguments: StreamSetting.of(StreamKind.overTCP))
  func `L-54 a read that waits when the peer resets throws, and so does each later one`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let read = loop.task { _ in try await stream.read() }
      try await iterate(loop)
      peer.reset()
      #expect(await codeOfError { _ = try await read.value } == .connectionReset)
      for _ in 0..<3 {
        for form in ReadForm.each { try await expectCode(.connectionReset) { _ = try await form.read(stream) } }
        #expect(!stream.isClosed)
      }
    }
  }

  @Test(arguments: StreamSetting.of(StreamKind.overTCP))
  func `L-54 bytes that came before a reset are read first`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let line = loop.task { _ in try await stream.readLine() }
      try peer.sendAll("half a line")
      await expectArrived(11, at: stream)
      peer.reset()
      #expect(await codeOfError { _ = try await line.value } == .connectionReset)
      #expect(try await stream.read(upTo: 4) == Array("half".utf8))
      #expect(try await stream.read(exactly: 7) == Array(" a line".utf8))
      try await expectCode(.connectionReset) { _ = try await stream.read() }
    }
  }

  @Test func `an array is never more than one write sends whole, and a borrowed read takes twice that`() async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      peer.setSendBuffer(300_000)
      let pattern = Pattern(seed: 9)
      try peer.sendAll(pattern.bytes(count: 200_000))
      try peer.shutdownWriting()
      let first = try #require(await stream.read())
      #expect(first == pattern.bytes(count: 65_536))
      let second = try #require(await stream.read { bytes in unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) } })
      #expect(second == pattern.bytes(at: 65_536, count: 131_072))
      #expect(try await stream.readAll(limit: 10_000) == pattern.bytes(at: 196_608, count: 3_392))
    }
  }

  @Test(arguments: StreamSetting.of(StreamKind.overTCP))
  func `L-54 a reset that comes with the last bytes is behind them, and not an end`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      // Before the loop looks.
      try peer.sendAll("abc")
      peer.reset()
      #expect(try await stream.read(exactly: 3) == Array("abc".utf8))
      for _ in 0..<2 { try await expectCode(.connectionReset) { _ = try await stream.read() } }
    }
  }

  @Test func `L-54 a Unix peer that sends and closes without having read what came is a reset behind its bytes`()
    async throws
  {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      try await stream.write("unread")
      try peer.sendAll("abc")
      peer.close()
      #expect(try await stream.read(exactly: 3) == Array("abc".utf8))
      try await expectCode(.connectionReset) { _ = try await stream.read() }
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-53 an end that comes with the last bytes is an end`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      // Both directions have ended then, and the poll says so as it does of a reset.
      try await stream.finishWriting()
      try peer.sendAll("abc")
      peer.close()
      #expect(try await stream.read(exactly: 3) == Array("abc".utf8))
      for _ in 0..<2 { #expect(try await stream.read() == nil) }
    }
  }

  @Test(arguments: [true, false])
  func `L-54 a peer that closes a Unix socket without having read what came is a reset`(isInline: Bool) async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: isInline)) { loop, stream, peer in
      try await stream.write("unread")
      let read = loop.task { _ in try await stream.read() }
      try await iterate(loop)
      peer.close()
      #expect(await codeOfError { _ = try await read.value } == .connectionReset)
      try await expectCode(.connectionReset) { _ = try await stream.read() }
    }
  }

  // MARK: One reader

  @Test(arguments: StreamSetting.all)
  func `L-44 a second reader of any form is refused, and disturbs the first in nothing`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      for first in [0, 1] {
        let reading = loop.task { _ in
          first == 0 ? try await stream.read(exactly: 6) : Array(try await stream.readLine().map(\.utf8) ?? "".utf8)
        }
        try await iterate(loop)
        try peer.sendAll("abc")
        await expectArrived(first == 0 ? 3 : 10, at: stream)
        for form in ReadForm.each { try await expectCode(.busy) { _ = try await form.read(stream) } }
        #expect(Self.codeOfTryRead(stream) == .busy)
        #expect(Self.codeOfStartReading(stream) == .busy)
        let elsewhere = Task.detached { try await stream.read() }
        #expect(await codeOfError { _ = try await elsewhere.value } == .busy)
        try peer.sendAll("def\n")
        #expect(try await reading.value == Array("abcdef".utf8))
        if first == 0 { #expect(try await stream.read(exactly: 1) == [10]) }
      }
    }
  }

  private static func codeOfTryRead(
    _ stream: ByteStream, isolation: isolated any LoopActor = #isolation
  ) -> UVError.Code? {
    var buffer: [UInt8] = []
    do throws(UVError) { _ = try stream.tryRead(into: &buffer) } catch { return error.code }
    return nil
  }

  private static func codeOfStartReading(
    _ stream: ByteStream, isolation: isolated any LoopActor = #isolation
  ) -> UVError.Code? {
    do throws(UVError) {
      try stream.startReading { _ in
      } atEnd: { _ in
      }
    } catch { return error.code }
    return nil
  }

  // MARK: Closed here

  @Test(arguments: StreamSetting.all)
  func `a close ends the read that waits and each later one with handleClosed`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let read = loop.task { _ in try await stream.readLine() }
      try peer.sendAll("half")
      await expectArrived(4, at: stream)
      stream.close()
      #expect(await codeOfError { _ = try await read.value } == .handleClosed)
      for form in ReadForm.each { try await expectCode(.handleClosed) { _ = try await form.read(stream) } }
      try await expectCode(.handleClosed) { _ = try await stream.read(exactly: 0) }
      #expect(Self.codeOfTryRead(stream) == .handleClosed)
      #expect(Self.codeOfStartReading(stream) == .handleClosed)
      try expectCode(.handleClosed) { try stream.unread([1], isolation: loop) }
      #expect(try stream.takeBuffered() == [])
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-53 a sequence over a stream ends with it, and where it was closed here`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("abc")
      var seen: [UInt8] = []
      for try await bytes in stream {
        seen += bytes
        if seen.count == 3 { break }
      }
      #expect(seen == Array("abc".utf8))
      let lines = loop.task { _ in
        var lines: [String] = []
        for try await line in stream.lines() { lines.append(line) }
        return lines
      }
      try peer.sendAll("one\ntwo\nthr")
      await expectArrived(14, at: stream)
      stream.close()
      #expect(try await lines.value == ["one", "two"])
      for try await _ in stream { Issue.record("bytes of a closed stream") }
      for try await _ in stream.lines() { Issue.record("a line of a closed stream") }
      for try await _ in stream.frames() { Issue.record("a frame of a closed stream") }
    }
  }

  @Test func `a shutdown is no end of a sequence`() async throws {
    try await withTestLoop { loop, _ in
      let (stream, peer) = try await loop.run { loop in try await StreamKind.tcp.connect(on: loop) }
      let task = Task { for try await _ in stream {} }
      try peer.sendAll("abc")
      await expectArrived(3, at: stream)
      await loop.shutdown()
      #expect(await codeOfError { try await task.value } == .loopClosed)
      #expect(await codeOfError { for try await _ in stream {} } == .loopClosed)
      #expect(await codeOfError { for try await _ in stream.lines() {} } == .loopClosed)
    }
  }
}
