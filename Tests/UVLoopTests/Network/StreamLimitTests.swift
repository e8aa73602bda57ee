import Testing

@testable import UVLoop

/// Idle limits, mostly on a time that the test moves.
@Suite(.sideBySide) struct StreamLimitTests {
  private static func options(read: Duration? = nil, write: Duration? = nil) -> ByteStream.Options {
    var options = ByteStream.Options()
    options.timeouts = .init(read: read, write: write)
    return options
  }

  private static func reading(
    _ stream: ByteStream, on loop: isolated EventLoop
  ) async -> Task<[UInt8]?, any Error> {
    let task = loop.task { _ in try await stream.read() }
    await expectEventually { stream.inner.reader.isAwaited }
    return task
  }

  private static func writing(
    _ count: Int, _ stream: ByteStream, on loop: isolated EventLoop
  ) async -> Task<Void, any Error> {
    let queued = stream.queuedBytes
    let task = loop.task { _ in try await stream.write([UInt8](repeating: 1, count: count)) }
    await expectEventually { stream.queuedBytes == queued + count }
    return task
  }

  // MARK: Reading

  @Test func `L-80 a read ends with timedOut when for so long no byte has come, and not before`() async throws {
    try await onScriptedStream(time: .manual, options: Self.options(read: .milliseconds(50))) {
      loop, stream, transport in
      let task = await Self.reading(stream, on: loop)
      try await loop.advance(by: .milliseconds(49))
      #expect(stream.inner.reader.isAwaited)
      try await loop.advance(by: .milliseconds(1))
      try await expectCode(.timedOut) { _ = try await task.value }
      #expect(!stream.isClosed)
      // The next wait has a limit of its own, and gets what comes.
      let next = await Self.reading(stream, on: loop)
      try await loop.advance(by: .milliseconds(49))
      transport.bring([7])
      #expect(try await next.value == [7])
      try await loop.advance(by: .seconds(10))
      let last = await Self.reading(stream, on: loop)
      transport.bring([8])
      #expect(try await last.value == [8])
    }
  }

  @Test func `L-80 a byte each 40 ms keeps a limit of 50 ms from ending a wait for many`() async throws {
    try await onScriptedStream(time: .manual, options: Self.options(read: .milliseconds(50))) {
      loop, stream, transport in
      let task = loop.task { _ in try await stream.read(exactly: 11) }
      await expectEventually { stream.inner.reader.isAwaited }
      for byte in UInt8(0)..<10 {
        try await loop.advance(by: .milliseconds(40))
        transport.bring([byte])
        await expectEventually { stream.inner.reader.isAwaited }
      }
      try await loop.advance(by: .milliseconds(49))
      #expect(stream.inner.reader.isAwaited)
      try await loop.advance(by: .milliseconds(1))
      try await expectCode(.timedOut) { _ = try await task.value }
      // What was collected is not lost.
      #expect(try await stream.read() == Array(0..<10))
    }
  }

  @Test func `L-80 while nobody waits no limit counts`() async throws {
    try await onScriptedStream(time: .manual, options: Self.options(read: .milliseconds(50))) {
      loop, stream, transport in
      let first = await Self.reading(stream, on: loop)
      transport.bring([1])
      #expect(try await first.value == [1])
      try await loop.advance(by: .seconds(100))
      let second = await Self.reading(stream, on: loop)
      try await loop.advance(by: .milliseconds(49))
      #expect(stream.inner.reader.isAwaited)
      try await loop.advance(by: .milliseconds(1))
      try await expectCode(.timedOut) { _ = try await second.value }
    }
  }

  @Test func `L-80 a limit that is set, changed or taken away during a wait`() async throws {
    try await onScriptedStream(time: .manual) { loop, stream, transport in
      let task = await Self.reading(stream, on: loop)
      try await loop.advance(by: .seconds(100))
      stream.timeouts.read = .milliseconds(50)
      #expect(stream.timeouts == .init(read: .milliseconds(50)))
      // What was waited before does not count.
      try await loop.advance(by: .milliseconds(49))
      #expect(stream.inner.reader.isAwaited)
      stream.timeouts.read = .seconds(1)
      try await loop.advance(by: .milliseconds(999))
      #expect(stream.inner.reader.isAwaited)
      stream.timeouts.read = nil
      try await loop.advance(by: .seconds(1_000_000))
      #expect(stream.inner.reader.isAwaited && loop.probe.timers == 0)
      stream.timeouts.read = .seconds(1)
      try await loop.advance(by: .seconds(1))
      try await expectCode(.timedOut) { _ = try await task.value }
    }
  }

  @Test func `L-80 100 000 reads move no timer`() async throws {
    try await onTestStream(
      StreamSetting(kind: .unix, isInline: true), options: Self.options(read: .seconds(1_000), write: .seconds(1_000))
    ) { loop, stream, peer in
      try peer.sendAll([0])
      _ = try await stream.read()
      let before = loop.probe.timerList
      // All on one thread: what has been sent is there.
      for number in 0..<100_000 {
        let byte = UInt8(number & 255)
        try peer.sendAll([byte])
        let bytes = try await stream.read()
        if bytes != [byte] { Issue.record("byte \(number) came as \(String(describing: bytes))") }
        try await stream.write([byte])
        if try peer.receive(exactly: 1) != [byte] { Issue.record("byte \(number) did not come back") }
      }
      #expect(loop.probe.timerList == before)
      #expect(before.count == 1)
    }
  }

  @Test func `L-80 the limit ends a copy, a frame and a line, and no byte of them is lost`() async throws {
    try await onScriptedStream(time: .manual, options: Self.options(read: .seconds(1))) { loop, stream, transport in
      let other = ScriptedTransport(on: loop)
      let target = ByteStream(over: other, on: loop)
      defer { target.close() }
      let calls: [@Sendable () async throws -> Void] = [
        { _ = try await stream.copy(to: target) }, { _ = try await stream.readFrame() },
        { _ = try await stream.readLine() }, { _ = try await stream.readAll(limit: 100) },
      ]
      for (number, call) in calls.enumerated() {
        let task = loop.task { _ in try await call() }
        await expectEventually { stream.inner.reader.isAwaited }
        if number > 0 { transport.bring([UInt8(number)]) }
        try await loop.advance(by: .seconds(1))
        try await expectCode(.timedOut) { try await task.value }
      }
      #expect(try await stream.read() == [1, 2, 3])
      #expect(other.taken.isEmpty && !other.isFinishing)
    }
  }

  // MARK: Writing

  @Test func `L-80 a write ends with timedOut when for so long no byte has gone, and each byte renews it`() async throws
  {
    try await onScriptedStream(time: .manual, options: Self.options(write: .seconds(1))) { loop, stream, transport in
      let task = await Self.writing(75_536, stream, on: loop)
      for _ in 0..<4 {
        try await loop.advance(by: .milliseconds(999))
        transport.endWrite()
      }
      #expect(transport.pending == 75_536 - 4 * 16_384)
      try await loop.advance(by: .milliseconds(999))
      #expect(stream.inner.writer.waitingSince != nil)
      try await loop.advance(by: .milliseconds(1))
      try await expectCode(.timedOut) { try await task.value }
      transport.endWrite()
      #expect(transport.taken.count == 75_536)
    }
  }

  @Test func `L-80 who comes later does not keep those from their limit who wait, and has its own`() async throws {
    try await onScriptedStream(time: .manual, options: Self.options(write: .seconds(1))) { loop, stream, transport in
      var tasks: [Task<Void, any Error>] = []
      for _ in 0..<4 {
        tasks.append(await Self.writing(10, stream, on: loop))
        try await loop.advance(by: .milliseconds(300))
      }
      // 1.2 s after the first, and 0.9 s after the second.
      try await expectCode(.timedOut) { try await tasks[0].value }
      #expect(stream.queuedBytes == 40)
      try await loop.advance(by: .milliseconds(100))
      try await expectCode(.timedOut) { try await tasks[1].value }
      #expect(stream.queuedBytes == 30)
      // The first goes out, since it has begun, and is a byte that goes.
      transport.endWrite()
      try await loop.advance(by: .milliseconds(999))
      #expect(stream.queuedBytes == 20)
      try await loop.advance(by: .milliseconds(1))
      for task in tasks[2...] { try await expectCode(.timedOut) { try await task.value } }
      // Of these one has begun too.
      #expect(stream.queuedBytes == 10)
      transport.endAll()
      #expect(transport.taken.count == 20)
    }
  }

  @Test func `L-80 a write behind one that nobody waits for has its limit`() async throws {
    try await onScriptedStream(time: .manual, options: Self.options(write: .seconds(1))) { loop, stream, transport in
      let isTaken = try stream.enqueue([1])
      #expect(isTaken)
      let task = await Self.writing(10, stream, on: loop)
      let end = loop.task { _ in try await stream.finishWriting() }
      try await expectEventually { try errorCode { _ = try stream.enqueue([]) } == .brokenPipe }
      try await loop.advance(by: .seconds(1))
      try await expectCode(.timedOut) { try await task.value }
      try await expectCode(.timedOut) { try await end.value }
      transport.room = 10
      transport.endWrite()
      try await stream.write([2])
      #expect(transport.taken == [1, 2])
    }
  }

  @Test(arguments: StreamSetting.of([.unix, .tcp]))
  func `L-80 a peer that takes nothing ends a write in real time, and one that is slow does not`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let pattern = Pattern(seed: 80)
      stream.timeouts.write = .seconds(10)
      let reader = SlowPeer(peer, pace: .slow(bytes: 65_536, rest: .milliseconds(1)), expecting: pattern)
      try await stream.write(pattern.bytes(count: 3 << 20))
      reader.setPace(.none)
      stream.timeouts.write = .milliseconds(50)
      let start = loop.clock.now
      try await expectCode(.timedOut) { try await stream.write(pattern.bytes(at: 3 << 20, count: 64 << 20)) }
      #expect(start.duration(to: loop.clock.now) >= .milliseconds(50))
      try await expectCode(.tornWrite) { try await stream.write([1]) }
    }
  }

  // MARK: The time of a test

  @Test(arguments: [StreamKind.unix, .tcp], [true, false])
  func `L-80 a task that waits for a peer holds a time that jumps, also with a limit`(
    kind: StreamKind, hasLimit: Bool
  ) async throws {
    try await onTestLoop(time: .autojump) { loop, _ in
      let (stream, peer) = try await kind.connect(
        on: loop, options: Self.options(read: hasLimit ? .seconds(3_600) : nil))
      defer { stream.close() }
      let sleeper = loop.task { loop in try await loop.sleep(for: .seconds(60)) }
      let start = loop.clock.now
      PlainThread {
        #expect(throws: Never.self) {
          _ = try? peer.receive()
          try peer.sendAll([7])
        }
      }
      let reading = loop.task { _ in try await stream.read() }
      await expectEventually { stream.inner.reader.isAwaited }
      try await stream.write([1])
      #expect(try await reading.value == [7])
      #expect(loop.clock.now == start)
      // Nobody waits for the peer any more.
      try await sleeper.value
      #expect(start.duration(to: loop.clock.now) == .seconds(60))
    }
  }

  @Test(arguments: [StreamKind.unix, .tcp])
  func `L-80 a stream that is merely open does not hold it, whatever was read before`(kind: StreamKind) async throws {
    try await onTestLoop(time: .autojump) { loop, _ in
      let (stream, peer) = try await kind.connect(on: loop)
      defer { stream.close() }
      for round in 0..<3 {
        let start = loop.clock.now
        try await loop.sleep(for: .seconds(3_600))
        #expect(start.duration(to: loop.clock.now) == .seconds(3_600))
        try peer.sendAll([1, 2, 3])
        #expect(try await stream.read(upTo: 1) == [1])
        // What has come and nobody wants does not hold it either.
        if round == 1 { try peer.sendAll([4]) }
        #expect(try await stream.read() == [2, 3] || round == 1)
      }
    }
  }

  @Test func `L-80 a task that waits to write holds it`() async throws {
    try await onTestLoop(time: .autojump) { loop, _ in
      let (stream, peer) = try await StreamKind.unix.connect(on: loop, options: Self.options(write: .seconds(10)))
      defer { stream.close() }
      try stream.fill(isolation: loop)
      let start = loop.clock.now
      let writing = loop.task { _ in try await stream.write([1]) }
      await expectEventually { stream.inner.writer.waitingSince != nil }
      #expect(loop.clock.now == start)
      try peer.drain()
      try await writing.value
      #expect(loop.clock.now == start)
    }
  }
}

/// Limits in real time, which has a bound above too.
@Suite(.alone) struct StreamLimitTimeTests {
  @Test(arguments: StreamSetting.all)
  func `L-80 a limit of 50 ms ends a read after 50 ms, and soon`(setting: StreamSetting) async throws {
    var options = ByteStream.Options()
    options.timeouts.read = .milliseconds(50)
    try await onTestStream(setting, options: options) { loop, stream, peer in
      for _ in 0..<3 {
        let start = loop.clock.now
        try await expectCode(.timedOut) { _ = try await stream.read() }
        let span = start.duration(to: loop.clock.now)
        #expect(span >= .milliseconds(50) && span < .milliseconds(500))
      }
      try peer.sendAll([1])
      #expect(try await stream.read() == [1])
    }
  }
}
