import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a stream holds: bytes that were given back, or read ahead. And what it has without a wait.
@Suite(.sideBySide) struct StreamUnreadTests {
  @Test(arguments: StreamSetting.all)
  func `L-50 bytes that are given back come first, before those that are held and those of the kernel`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("line\nheld")
      let line = loop.task { _ in try await stream.readLine() }
      #expect(try await line.value == "line")
      try stream.unread(Array("two ".utf8))
      try stream.unread([])
      try stream.unread(Array("one ".utf8))
      try peer.sendAll(" kernel\n")
      #expect(try await stream.read(upTo: 2) == Array("on".utf8))
      try stream.unread(Array("On".utf8))
      #expect(try await stream.readLine() == "One two held kernel")
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-50 a reader who waits gets what is given back`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let read = loop.task { _ in try await stream.read() }
      try await iterate(loop)
      try stream.unread([1, 2, 3])
      #expect(try await read.value == [1, 2, 3])

      let line = loop.task { _ in try await stream.readLine() }
      try await iterate(loop)
      try stream.unread(Array("hello\n".utf8))
      #expect(try await line.value == "hello")
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-50 a reader who waits goes on when the code that gives bytes back has returned`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let steps = Shared<[String]>([])
      let read = loop.task { _ in
        _ = try await stream.read()
        steps.update { $0.append("the reader") }
      }
      try await iterate(loop)
      try loop.schedule(after: .zero) {
        do { try stream.unread([1], isolation: loop) } catch { Issue.record(error) }
        steps.update { $0.append("the callback") }
      }
      try await read.value
      #expect(steps.value == ["the callback", "the reader"])
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-50 bytes before those that a reader has looked at already are looked at as well`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let line = loop.task { _ in try await stream.readLine() }
      try peer.sendAll("cdef")
      await expectArrived(4, at: stream)
      try await iterate(loop)
      try stream.unread(Array("a\nb".utf8))
      #expect(try await line.value == "a")
      try peer.sendAll("\n")
      #expect(try await stream.readLine() == "bcdef")
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-50 bytes can be given back after the end, and the end stays behind them`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.shutdownWriting()
      #expect(try await stream.read() == nil)
      try stream.unread(Array("more\n".utf8))
      #expect(try await stream.readLine() == "more")
      #expect(try await stream.read() == nil)
      #expect(stream.bytesRead == 0)
    }
  }

  @Test(arguments: StreamSetting.of(StreamKind.whole))
  func `L-50 takeBuffered empties the stream, and gives what was read ahead`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      #expect(try stream.takeBuffered() == [])
      try peer.sendAll("upgrade\nrest")
      #expect(try await stream.readLine() == "upgrade")
      try stream.unread([1])
      #expect(try stream.takeBuffered() == [1] + Array("rest".utf8))
      #expect(try stream.takeBuffered() == [])
      try peer.sendAll("new")
      #expect(try await stream.read() == Array("new".utf8))
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-50 a reader whose bytes are taken from under it goes on with what comes`(setting: StreamSetting) async throws
  {
    try await onTestStream(setting) { loop, stream, peer in
      let line = loop.task { _ in try await stream.readLine() }
      try peer.sendAll("abcdef")
      await expectArrived(6, at: stream)
      try await iterate(loop)
      #expect(try stream.takeBuffered() == Array("abcdef".utf8))
      try peer.sendAll("x\ny\n")
      #expect(try await line.value == "x")
      #expect(try await stream.readLine() == "y")
    }
  }

  @Test(arguments: [true, false])
  func `L-50 a stream whose buffer was taken out can be detached, and goes on mid-stream where it is adopted`(
    isInline: Bool
  ) async throws {
    try await onTestStream(StreamSetting(kind: .tcp, isInline: isInline)) { loop, stream, peer in
      try peer.sendAll("first\nsec")
      #expect(try await stream.readLine() == "first")
      await #expect(codeOfError { _ = try await stream.detach() } == .busy)
      let ahead = try stream.takeBuffered()
      let descriptor = try await stream.detach()
      #expect(stream.isClosed)
      let next = try TCPStream(adopting: descriptor)
      defer { next.close() }
      try next.unread(ahead)
      try peer.sendAll("ond\n")
      #expect(try await next.readLine() == "second")
    }
  }

  // MARK: Without a wait

  /// Blocks the loop until the kernel has something for the stream.
  private static func waitForInput(_ stream: ByteStream, isolation: isolated any LoopActor = #isolation) throws {
    try stream.withUnsafeDescriptor { try waitPlainly($0, for: POLLIN, "poll") }
  }

  @Test(arguments: StreamSetting.all)
  func `L-103 tryRead gives what is there, nil where it would wait, and 0 at the end`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      var buffer: [UInt8] = [9]
      #expect(try stream.tryRead(into: &buffer) == nil)
      #expect(buffer == [9])
      try peer.sendAll("abcdef")
      try Self.waitForInput(stream)
      #expect(try stream.tryRead(into: &buffer, upTo: 1) == 1)
      while buffer.count < 7, let count = try stream.tryRead(into: &buffer) { #expect(count > 0) }
      #expect(buffer == [9] + Array("abcdef".utf8))
      #expect(try stream.tryRead(into: &buffer) == nil)
      #expect(stream.bytesRead == 6)
      try peer.shutdownWriting()
      try Self.waitForInput(stream)
      for _ in 0..<3 { #expect(try stream.tryRead(into: &buffer) == 0) }
      #expect(try await stream.read() == nil)
      try expectCode(.invalidArgument) { _ = try stream.tryRead(into: &buffer, upTo: 0, isolation: loop) }
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-103 tryRead takes what is held, and asks the kernel only if nothing is`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("kernel")
      try stream.unread(Array("held".utf8))
      var buffer: [UInt8] = []
      #expect(try stream.tryRead(into: &buffer, upTo: 3) == 3)
      #expect(try stream.tryRead(into: &buffer) == 1)
      #expect(buffer == Array("held".utf8))
      #expect(stream.bytesRead == 0)
      #expect(try await stream.read(exactly: 6) == Array("kernel".utf8))
    }
  }

  @Test(arguments: StreamSetting.of(StreamKind.whole))
  func `L-103 one call of tryRead takes no more than one read of the kernel does`(
    setting: StreamSetting
  ) async throws {
    let pattern = Pattern(seed: 103)
    try await onTestStream(setting) { loop, stream, peer in
      var sent = 0
      while sent < 200_000, let count = try peer.sendNow(pattern.bytes(at: sent, count: 100_000)[...]) { sent += count }
      var check = PatternCheck(pattern)
      while check.count < sent {
        var buffer: [UInt8] = []
        try Self.waitForInput(stream)
        let count = try #require(try stream.tryRead(into: &buffer, upTo: .max))
        #expect(count == buffer.count && count <= LoopNetwork.blockSize)
        check.receive(buffer)
        try await iterate(loop, times: 1)
      }
      #expect(check.firstDifference == nil)
      #expect(check.count == sent)
    }
  }

  @Test(arguments: StreamSetting.of(StreamKind.overTCP))
  func `L-103 tryRead throws what has ended the stream, again and again`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      peer.reset()
      try Self.waitForInput(stream)
      var buffer: [UInt8] = []
      for _ in 0..<3 { try expectCode(.connectionReset) { _ = try stream.tryRead(into: &buffer, isolation: loop) } }
      try await expectCode(.connectionReset) { _ = try await stream.read() }
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-103 reads that wait and reads that do not may take turns`(setting: StreamSetting) async throws {
    let pattern = Pattern(seed: 104)
    try await onTestStream(setting) { loop, stream, peer in
      var random = SplitMix(seed: 104)
      var check = PatternCheck(pattern)
      var sent = 0
      while check.count < 20_000 {
        let count = Int.random(in: 1..<400, using: &random)
        try peer.sendAll(pattern.bytes(at: sent, count: count))
        sent += count
        while check.count < sent {
          var buffer: [UInt8] = []
          if Bool.random(using: &random) {
            _ = try stream.tryRead(into: &buffer, upTo: Int.random(in: 1..<200, using: &random))
          } else {
            try await stream.read(into: &buffer, upTo: Int.random(in: 1..<200, using: &random))
          }
          check.receive(buffer)
        }
      }
      #expect(check.firstDifference == nil)
    }
  }
}
