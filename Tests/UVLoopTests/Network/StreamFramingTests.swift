import Testing

@testable import UVLoop

/// Lines, parts up to a delimiter, counts and numbers, over each kind of stream. Frames have a suite of their own.
@Suite(.sideBySide) struct StreamFramingTests {
  /// Sends a piece once all before it has come to the stream, so that the reader sees the cut.
  private static func send(_ pieces: [[UInt8]], from peer: PlainSocket, to stream: ByteStream) async throws {
    for piece in pieces {
      let before = stream.bytesRead
      try peer.sendAll(piece)
      await expectArrived(before + Int64(piece.count), at: stream)
    }
  }

  // MARK: Lines

  @Test func `a piece larger than what a task may take while the loop stands is taken whole`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let pattern = Pattern(seed: 3)
      for _ in 0..<2 {
        try stream.unread(pattern.bytes(count: 3_000_000))
        let bytes = try await stream.read(exactly: 3_000_000)
        #expect(pattern.firstDifference(in: bytes) == nil)
      }
      let all = loop.task { _ in try await stream.readAll(limit: 5_000_000) }
      await expectEventually { stream.inner.reader.isAwaited }
      try stream.unread(pattern.bytes(count: 5_000_000))
      transport.bringEnd()
      #expect(try await all.value.count == 5_000_000)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-47 lines end with LF or CRLF, an empty line is no end, and a last line needs neither`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("one\ntwo\r\n\n\r\nthr\ree\r\r\nlast")
      try peer.shutdownWriting()
      for line in ["one", "two", "", "", "thr\ree\r", "last"] { #expect(try await stream.readLine() == line) }
      #expect(try await stream.readLine() == nil)
      #expect(try await stream.readLine() == nil)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-47 a CRLF that comes in two packets ends one line`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      for line in ["", "a", "ab"] {
        let task = loop.task { _ in try await stream.readLine() }
        try await iterate(loop)
        try await Self.send([Array(line.utf8) + [13], [10]], from: peer, to: stream)
        #expect(try await task.value == line)
      }
      #expect(try stream.takeBuffered() == [])
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-47 a CR at the end belongs to the last line`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("last\r")
      try peer.shutdownWriting()
      #expect(try await stream.readLine() == "last\r")
      #expect(try await stream.readLine() == nil)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `a sequence of lines gives each of them`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let expected = (0..<2_000).map { "line \($0)" }
      async let sent: Void = onPlainThread {
        try peer.sendAll(expected.joined(separator: "\n"))
        try peer.shutdownWriting()
      }
      var lines: [String] = []
      for try await line in stream.lines() { lines.append(line) }
      #expect(lines == expected)
      try await sent
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-48 a line over its limit throws, and all of it can still be read`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("12345\r\n123456\n")
      #expect(try await stream.readLine(limit: 5) == "12345")
      for _ in 0..<3 { try await expectCode(.messageTooLong) { _ = try await stream.readLine(limit: 5) } }
      #expect(try await stream.readLine(limit: 6) == "123456")
      try await expectCode(.invalidArgument) { _ = try await stream.readLine(limit: -1) }
      try peer.sendAll("\n")
      #expect(try await stream.readLine(limit: 0) == "")
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-48 a line without an end throws before more than its limit and a block are held`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      async let sent: Void = onPlainThread {
        try peer.sendAll([UInt8](repeating: 7, count: 400_000))
        try peer.shutdownWriting()
      }
      try await expectCode(.messageTooLong) { _ = try await stream.readLine(limit: 100_000) }
      #expect((100_001...165_536).contains(stream.inner.reader.count))
      try await expectCode(.messageTooLong) { _ = try await stream.read(until: [1, 2], limit: 100_000) }
      try await expectCode(.messageTooLong) { _ = try await stream.readAll(limit: 100_000) }
      #expect((100_001...165_536).contains(stream.inner.reader.count))
      #expect(try await stream.readAll(limit: 400_000).count == 400_000)
      try await sent
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-49 what is no UTF-8 is repaired, and a validating read consumes the line and throws`(
    setting: StreamSetting
  ) async throws {
    let bad: [UInt8] = [97, 0xff, 98, 10]
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll(bad + bad + Array("größer\n".utf8) + bad)
      #expect(try await stream.readLine() == "a\u{fffd}b")
      try await expectCode(.illegalByteSequence) { _ = try await stream.readLine(validating: true) }
      #expect(try await stream.readLine(validating: true) == "größer")
      try peer.shutdownWriting()
      var lines: [String] = []
      for try await line in stream.lines() { lines.append(line) }
      #expect(lines == ["a\u{fffd}b"])
    }
  }

  // MARK: Parts

  @Test(arguments: StreamSetting.all)
  func `a part goes up to its delimiter, wherever that is cut`(setting: StreamSetting) async throws {
    let delimiter = Array("--ab--abc".utf8)
    try await onTestStream(setting) { loop, stream, peer in
      for cut in 0...delimiter.count {
        let task = loop.task { _ in try await stream.read(until: delimiter) }
        try await iterate(loop)
        // Its own beginning stands before it.
        let pieces = [Array("head--ab".utf8) + delimiter[..<cut], Array(delimiter[cut...])].filter { !$0.isEmpty }
        try await Self.send(pieces, from: peer, to: stream)
        #expect(try await task.value == Array("head--ab".utf8))
      }
      try peer.sendAll("rest--ab--ab")
      try peer.shutdownWriting()
      #expect(try await stream.read(until: delimiter) == Array("rest--ab--ab".utf8))
      #expect(try await stream.read(until: delimiter) == nil)
      try await expectCode(.invalidArgument) { _ = try await stream.read(until: []) }
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-48 half a delimiter does not count for the limit`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let task = loop.task { _ in try await stream.read(until: [1, 2, 3], limit: 4) }
      try await iterate(loop)
      try await Self.send([[0, 0, 0, 0, 1, 2], [3]], from: peer, to: stream)
      #expect(try await task.value == [0, 0, 0, 0])
      try peer.sendAll([0, 0, 0, 0, 0, 1, 2, 3])
      try await expectCode(.messageTooLong) { _ = try await stream.read(until: [1, 2, 3], limit: 4) }
      #expect(try await stream.read(until: [1, 2, 3], limit: 5) == [0, 0, 0, 0, 0])
    }
  }

  // MARK: Counts and numbers

  @Test(arguments: StreamSetting.all)
  func `L-46 a stream that ends before the count throws, and what has come is the next read's`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("abcde")
      try peer.shutdownWriting()
      #expect(try await stream.read(exactly: 2) == Array("ab".utf8))
      for _ in 0..<2 { try await expectCode(.endOfFile) { _ = try await stream.read(exactly: 4) } }
      try await expectCode(.endOfFile) { _ = try await stream.readInteger(as: UInt32.self) }
      #expect(try await stream.read() == Array("cde".utf8))
      #expect(try await stream.read() == nil)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `a count may be larger than any block`(setting: StreamSetting) async throws {
    let pattern = Pattern(seed: 46)
    try await onTestStream(setting) { loop, stream, peer in
      async let sent: Void = onPlainThread { try peer.sendAll(pattern.bytes(count: 300_010)) }
      let bytes = try await stream.read(exactly: 300_000)
      #expect(bytes.count == 300_000 && pattern.firstDifference(in: bytes) == nil)
      #expect(try await stream.read(exactly: 10) == pattern.bytes(at: 300_000, count: 10))
      try await sent
    }
  }

  @Test(arguments: StreamSetting.all)
  func `numbers arrive in the order of their bytes`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll([1, 2, 3, 4, 1, 2, 3, 4, 0xff, 0xfe, 0x80, 1, 2, 3, 4, 5, 6, 7, 8])
      #expect(try await stream.readInteger(as: UInt32.self) == 0x0102_0304)
      #expect(try await stream.readInteger(as: UInt32.self, byteOrder: .little) == 0x0403_0201)
      #expect(try await stream.readInteger(as: Int16.self) == -2)
      #expect(try await stream.readInteger(as: Int8.self) == -128)
      #expect(try await stream.readInteger(as: UInt64.self) == 0x0102_0304_0506_0708)
    }
  }

  // MARK: All

  @Test(arguments: StreamSetting.all)
  func `L-48 readAll gives everything within its limit, and else leaves it`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("hello")
      try peer.shutdownWriting()
      try await expectCode(.messageTooLong) { _ = try await stream.readAll(limit: 4) }
      try await expectCode(.invalidArgument) { _ = try await stream.readAll(limit: -1) }
      #expect(try await stream.readAll(limit: 5) == Array("hello".utf8))
      #expect(try await stream.readAll(limit: 0) == [])
    }
  }

  @Test(arguments: StreamSetting.all)
  func `forms of all kinds take turns, each where the last one stood`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("GET / HTTP/1.1\r\nHost: a\r\n\r\n\u{3}abc\u{0}\u{5}12345body")
      try peer.shutdownWriting()
      #expect(try await stream.readLine() == "GET / HTTP/1.1")
      #expect(try await stream.read(until: Array("\r\n\r\n".utf8)) == Array("Host: a".utf8))
      #expect(try await stream.readFrame(lengthPrefix: .uint8) == Array("abc".utf8))
      #expect(try await stream.readInteger(as: UInt16.self) == 5)
      #expect(try await stream.read(exactly: 5) == Array("12345".utf8))
      #expect(try await stream.read(upTo: 1) == Array("b".utf8))
      #expect(try await stream.readAll(limit: 10) == Array("ody".utf8))
    }
  }
}
