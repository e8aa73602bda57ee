import Testing

@testable import UVLoop

/// What becomes of a write whose caller goes: cancelled, or at its limit.
@Suite(.sideBySide) struct StreamWriteCancellationTests {
  private static let sliceSize = 16_384
  private static let wholeSize = 65_536

  /// Why the caller goes.
  enum Reason: CaseIterable, CustomTestStringConvertible, Sendable {
    case cancelled, timedOut

    var testDescription: String { self == .cancelled ? "cancelled" : "timed out" }

    func end(_ task: Task<Void, any Error>, on loop: isolated EventLoop) async throws {
      switch self {
      case .cancelled:
        task.cancel()
        try await expectCancelled { try await task.value }
      case .timedOut:
        try await loop.advance(by: .seconds(1))
        try await expectCode(.timedOut) { try await task.value }
      }
    }

    func run(
      _ body:
        @Sendable (
          _ loop: isolated EventLoop, _ stream: ByteStream, _ transport: ScriptedTransport
        ) async throws -> Void
    ) async throws {
      var options = ByteStream.Options()
      if self == .timedOut { options.timeouts.write = .seconds(1) }
      try await onScriptedStream(time: .manual, options: options, body)
    }
  }

  /// Begins a write that the transport does not end, and waits until it has all or a slice of it.
  private static func begin(
    _ bytes: [UInt8], _ stream: ByteStream, _ transport: ScriptedTransport, on loop: isolated EventLoop
  ) async -> Task<Void, any Error> {
    let task = loop.task { _ in try await stream.write(bytes) }
    await expectEventually { stream.inner.writer.waitingSince != nil }
    return task
  }

  @Test(arguments: Reason.allCases)
  func `L-57 a write that ends behind another sends nothing, and the side stays whole`(reason: Reason) async throws {
    try await onScriptedStream(time: .manual) { loop, stream, transport in
      let first = await Self.begin([1, 2, 3], stream, transport, on: loop)
      stream.timeouts.write = reason == .timedOut ? .seconds(1) : nil
      // The limit is over for both of them, unless the first has moved bytes.
      let second = loop.task { _ in try await stream.write([UInt8](repeating: 4, count: 100_000)) }
      await expectEventually { stream.queuedBytes == 100_003 }
      switch reason {
      case .cancelled:
        second.cancel()
        try await expectCancelled { try await second.value }
      case .timedOut:
        try await loop.advance(by: .seconds(1))
        try await expectCode(.timedOut) { try await second.value }
        try await expectCode(.timedOut) { try await first.value }
      }
      #expect(stream.queuedBytes == 3)
      transport.endWrite()
      if reason == .cancelled { try await first.value }
      transport.room = 10
      try await stream.write([5])
      #expect(transport.taken == [1, 2, 3, 5])
      #expect(stream.queuedBytes == 0 && stream.bytesWritten == 4)
    }
  }

  @Test(arguments: Reason.allCases, [0, 1, 40_000])
  func `L-57 one of 64 KiB that has begun goes out whole, and the side stays whole`(
    reason: Reason, room: Int
  ) async throws {
    try await reason.run { loop, stream, transport in
      let bytes = Pattern(seed: 57).bytes(count: Self.wholeSize)
      transport.room = room
      let task = await Self.begin(bytes, stream, transport, on: loop)
      #expect(transport.pending == Self.sliceSize)
      try await reason.end(task, on: loop)
      // The next one waits behind it.
      let next = loop.task { _ in try await stream.write([7]) }
      await expectEventually { stream.queuedBytes == Self.wholeSize - room + 1 }
      while transport.pending != nil { transport.endWrite() }
      try await next.value
      #expect(transport.taken == bytes + [7])
      #expect(stream.bytesWritten == transport.taken.count && stream.queuedBytes == 0)
      try await Self.expectWhole(stream, transport, on: loop)
    }
  }

  @Test(arguments: Reason.allCases, [0, 1, 40_000])
  func `L-57 a longer one is cut behind its slice, and the side is torn`(reason: Reason, room: Int) async throws {
    try await reason.run { loop, stream, transport in
      let bytes = Pattern(seed: 57).bytes(count: 300_000)
      transport.room = room
      let task = await Self.begin(bytes, stream, transport, on: loop)
      #expect(transport.pending == Self.sliceSize)
      try await reason.end(task, on: loop)
      try await Self.expectTorn(stream, on: loop)
      transport.room = .max
      transport.endWrite()
      #expect(transport.taken == Array(bytes[..<(room + Self.sliceSize)]))
      #expect(stream.bytesWritten == transport.taken.count && stream.queuedBytes == 0)
      #expect(transport.pending == nil)
      try await Self.expectTorn(stream, on: loop)
    }
  }

  @Test(arguments: Reason.allCases)
  func `L-57 a longer one of which no more than 64 KiB are left goes out whole`(reason: Reason) async throws {
    try await reason.run { loop, stream, transport in
      let bytes = Pattern(seed: 3).bytes(count: Self.sliceSize + Self.wholeSize)
      let task = await Self.begin(bytes, stream, transport, on: loop)
      transport.endWrite()
      #expect(transport.pending == Self.sliceSize && stream.queuedBytes == Self.wholeSize)
      try await reason.end(task, on: loop)
      while transport.pending != nil { transport.endWrite() }
      #expect(transport.taken == bytes)
      try await Self.expectWhole(stream, transport, on: loop)
    }
  }

  @Test func `L-57 those who wait behind a write that was cut get tornWrite when its slice has gone`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let first = await Self.begin([UInt8](repeating: 1, count: 200_000), stream, transport, on: loop)
      let second = loop.task { _ in try await errorCode { try await stream.write([2]) } }
      let third = loop.task { _ in try await stream.write([3]) }
      await expectEventually { stream.queuedBytes == 200_002 }
      let end = loop.task { _ in try await errorCode { try await stream.finishWriting() } }
      try await Self.expectFinishing(stream)
      first.cancel()
      try await expectCancelled { try await first.value }
      third.cancel()
      try await expectCancelled { try await third.value }
      transport.endWrite()
      #expect(try await second.value == .tornWrite)
      #expect(try await end.value == .tornWrite)
      #expect(transport.taken.count == Self.sliceSize && !transport.isFinishing && stream.queuedBytes == 0)
    }
  }

  @Test func `L-57 an end that is cancelled behind a write that was cut leaves the side torn`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let first = await Self.begin([UInt8](repeating: 1, count: 200_000), stream, transport, on: loop)
      let end = loop.task { _ in try await stream.finishWriting() }
      try await Self.expectFinishing(stream)
      first.cancel()
      try await expectCancelled { try await first.value }
      end.cancel()
      try await expectCancelled { try await end.value }
      try await Self.expectTorn(stream, on: loop)
      transport.endWrite()
      try await Self.expectTorn(stream, on: loop)
    }
  }

  @Test func `L-57 an end that is cancelled behind a write takes back that it has begun`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let first = await Self.begin([1], stream, transport, on: loop)
      let end = loop.task { _ in try await stream.finishWriting() }
      try await Self.expectFinishing(stream)
      end.cancel()
      try await expectCancelled { try await end.value }
      transport.room = 10
      transport.endWrite()
      try await first.value
      try await stream.write([2])
      #expect(transport.taken == [1, 2] && !transport.isFinishing)
    }
  }

  @Test func `L-57 an end that is under way goes on though its caller is cancelled`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let end = loop.task { _ in try await stream.finishWriting() }
      await expectEventually { transport.isFinishing }
      end.cancel()
      try await expectCancelled { try await end.value }
      try await expectCode(.socketNotConnected) { try await stream.finishWriting() }
      transport.endFinish()
      try await expectCode(.socketNotConnected) { try await stream.finishWriting() }
      try await expectCode(.brokenPipe) { try await stream.write([1]) }
    }
  }

  // MARK: Over sockets

  @Test(arguments: StreamSetting.of([.unix, .tcp, .transforming]))
  func `L-57 of a write of 64 KiB whose task is cancelled each byte arrives`(setting: StreamSetting) async throws {
    try await onTestStream(setting, options: .smallBuffers) { loop, stream, peer in
      peer.setReceiveBuffer(Self.wholeSize)
      let pattern = Pattern(seed: 64)
      let filled = try await Self.fill(stream, with: pattern, on: loop)
      let task = loop.task { _ in try await stream.write(pattern.bytes(at: filled, count: Self.wholeSize)) }
      await expectEventually { stream.queuedBytes > 0 }
      task.cancel()
      try await expectCancelled { try await task.value }
      let sent = filled + Self.wholeSize
      let reader = SlowPeer(peer, pace: .full, expecting: pattern)
      try await stream.write(pattern.bytes(at: sent, count: 10))
      try await stream.finishWriting()
      let (count, difference) = try await reader.finish()
      #expect(count == sent + 10 && count == stream.bytesWritten)
      #expect(difference == nil)
    }
  }

  @Test(arguments: StreamSetting.of([.unix, .tcp, .transforming]))
  func `L-57 of a longer write whose task is cancelled the beginning arrives, and reading goes on`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting, options: .smallBuffers) { loop, stream, peer in
      peer.setReceiveBuffer(Self.wholeSize)
      let pattern = Pattern(seed: 65)
      let sent = try await Self.fill(stream, with: pattern, on: loop)
      let task = loop.task { _ in try await stream.write(pattern.bytes(at: sent, count: 64 << 20)) }
      await expectEventually { stream.queuedBytes > 0 }
      task.cancel()
      try await expectCancelled { try await task.value }
      try await Self.expectTorn(stream, on: loop)
      let reader = SlowPeer(peer, pace: .full, expecting: pattern)
      await expectEventually { stream.queuedBytes == 0 }
      #expect(stream.bytesWritten >= Int64(sent + Self.sliceSize))
      let reading = loop.task { _ in try await stream.read() }
      try await Self.expectTorn(stream, on: loop)
      stream.close()
      try await expectCode(.handleClosed) { _ = try await reading.value }
      let (count, difference) = try await reader.finish()
      #expect(count == stream.bytesWritten)
      #expect(difference == nil)
    }
  }

  @Test(arguments: StreamSetting.all, Seeds.first(2))
  func `L-57 of messages whose tasks are cancelled at random each arrives whole or not at all, in order`(
    setting: StreamSetting, seed: UInt64
  ) async throws {
    try await onTestStream(setting, seed: seed) { loop, stream, peer in
      let reader = Task {
        try await onPlainThread {
          var numbers: [Int] = []
          while true {
            let head = try peer.receive(exactly: 4)
            if head.isEmpty { return numbers }
            let (number, count) = (Int(head[0]) << 8 | Int(head[1]), Int(head[2]) << 8 | Int(head[3]))
            let body = try peer.receive(exactly: count)
            if body.count < count || !body.allSatisfy({ $0 == head[1] }) { return [-1] }
            numbers.append(number)
          }
        }
      }
      var random = SplitMix(seed: seed)
      var messages: [Task<Bool, any Error>] = []
      for number in 0..<200 {
        let count = Int.random(in: 0...(number % 10 == 0 ? 60_000 : 500), using: &random)
        let head = [UInt8(number >> 8), UInt8(number & 255), UInt8(count >> 8), UInt8(count & 255)]
        let bytes = head + [UInt8](repeating: UInt8(number & 255), count: count)
        messages.append(loop.task { _ in try await !endsCancelled { try await stream.write(bytes) } })
        for _ in 0..<Int.random(in: 0...2, using: &random) { try await loop.sleep(for: .zero) }
        if let chosen = messages.indices.randomElement(using: &random), random.next() % 2 == 0 {
          messages[chosen].cancel()
        }
      }
      var written: [Int] = []
      for (number, message) in messages.enumerated() where try await message.value { written.append(number) }
      try await stream.finishWriting()
      let received = try await reader.value
      // Tasks begin in the order in which they were made.
      #expect(received == received.sorted(), "seed \(seed)")
      #expect(Set(written).isSubset(of: received), "seed \(seed)")
      #expect(Set(received).count == received.count, "seed \(seed)")
      #expect(stream.queuedBytes == 0)
    }
  }

  // MARK: Private

  /// Writes until the kernel takes no more for a while: how many bytes.
  private static func fill(
    _ stream: ByteStream, with pattern: Pattern, on loop: isolated EventLoop
  ) async throws -> Int {
    var (sent, rounds) = (0, 0)
    while rounds < 3 {
      let count = try stream.tryWrite(pattern.bytes(at: sent, count: 60_000))
      sent += count
      rounds = count == 0 ? rounds + 1 : 0
      // TCP's acknowledgments may come 40 ms late, and make room.
      if count == 0 { try await loop.sleep(for: .milliseconds(50)) }
    }
    return sent
  }

  private static func expectTorn(_ stream: ByteStream, on loop: isolated EventLoop) async throws {
    try await expectCode(.tornWrite) { try await stream.write([1]) }
    try await expectCode(.tornWrite) { try await stream.write([]) }
    try await expectCode(.tornWrite) { try await stream.write(contentsOf: [[1], [2]]) }
    try await expectCode(.tornWrite) { try await stream.finishWriting() }
    try expectCode(.tornWrite) { _ = try stream.tryWrite([1], isolation: loop) }
    try expectCode(.tornWrite) { _ = try stream.enqueue([1]) }
    try await expectCode(.tornWrite) { _ = try await stream.detach() }
    #expect(!stream.isClosed)
  }

  private static func expectWhole(
    _ stream: ByteStream, _ transport: ScriptedTransport, on loop: isolated EventLoop
  ) async throws {
    let before = transport.taken.count
    transport.room = 1
    try await stream.write([9])
    #expect(transport.taken.count == before + 1 && transport.taken.last == 9)
  }

  /// Waits until the end has been begun, which refuses what comes behind it.
  private static func expectFinishing(_ stream: ByteStream) async throws {
    try await expectEventually { try errorCode { _ = try stream.enqueue([]) } == .brokenPipe }
  }
}
