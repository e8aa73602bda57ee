import Testing

@testable import UVLoop

/// Streams that are used off their loop.
@Suite(.sideBySide) struct StreamElsewhereTests {
  enum Place: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case loop, actorOfTheLoop, immediateTask, mainActor, otherLoop, plainTask

    var testDescription: String { rawValue }
  }

  private actor Resident: LoopActor {
    nonisolated let loop: EventLoop

    init(on loop: EventLoop) { self.loop = loop }

    func talk(_ stream: ByteStream) async throws -> [[UInt8]] { try await StreamElsewhereTests.talk(over: stream) }

    /// The code of the error of each call that does not wait.
    func codes(_ stream: ByteStream) -> [UVError.Code?] {
      var buffer: [UInt8] = []
      let bytes: [UInt8] = [1]
      let calls: [() throws -> Void] = [
        { _ = try stream.tryWrite(unsafe bytes.span.bytes, isolation: self) },
        { _ = try stream.tryRead(into: &buffer, isolation: self) },
        { try stream.unread(bytes, isolation: self) },
        { _ = try stream.takeBuffered(isolation: self) },
        {
          try stream.startReading(isolation: self) { _ in
          } atEnd: { _ in
          }
        },
        { try stream.withUnsafeDescriptor(isolation: self) { _ in } },
      ]
      return calls.map { call in
        do { try call() } catch { return (error as? UVError)?.code }
        return nil
      }
    }
  }

  /// What a peer that sends everything back answers, in all forms.
  private static func talk(over stream: ByteStream) async throws -> [[UInt8]] {
    var answers: [[UInt8]] = []
    try await stream.write("one\ntwo\r\nthree|")
    for _ in 0..<2 { answers.append(Array(try await stream.readLine()?.utf8 ?? "".utf8)) }
    answers.append(try await stream.read(until: Array("|".utf8)) ?? [])
    try await stream.write(contentsOf: [[1, 2], [], [3, 4, 5, 6]])
    answers.append([UInt8(try await stream.readInteger(as: UInt16.self) - 0x0100)])
    answers.append(try await stream.read(exactly: 4))
    try await stream.writeFrame([7, 8, 9])
    answers.append(try await stream.readFrame() ?? [])
    try await stream.write([10])
    answers.append(try await stream.read() ?? [])
    try await stream.write([11])
    answers.append(try await stream.read { span in [UInt8](span) } ?? [])
    try await stream.write(capacity: 1) { $0.append(12) }
    var buffer: [UInt8] = [0]
    try await stream.read(into: &buffer)
    answers.append(buffer)
    let pattern = Pattern(seed: 76).bytes(count: 300_000)
    async let all = stream.readAll(limit: .max)
    try await stream.write(pattern)
    try await stream.finishWriting()
    answers.append(try await all)
    return answers
  }

  private static let expected: [[UInt8]] = [
    Array("one".utf8), Array("two".utf8), Array("three".utf8), [2], [3, 4, 5, 6], [7, 8, 9], [10], [11], [0, 12],
    Pattern(seed: 76).bytes(count: 300_000),
  ]

  private static func talk(over stream: ByteStream, at place: Place, _ loop: EventLoop) async throws -> [[UInt8]] {
    switch place {
    case .loop: return try await loop.run { _ in try await talk(over: stream) }
    case .actorOfTheLoop: return try await Resident(on: loop).talk(stream)
    case .immediateTask: return try await loop.run { _ in startAtOnce { try await talk(over: stream) } }.value
    case .mainActor: return try await Task { @MainActor in try await talk(over: stream) }.value
    case .otherLoop:
      return try await onTestLoop("other") { other, _ in
        let answers = try await talk(over: stream)
        #expect(other.isCurrent)
        return answers
      }
    case .plainTask: return try await Task.detached { try await talk(over: stream) }.value
    }
  }

  /// On the calling thread, and up to its first wait within the job that runs there.
  private static func startAtOnce<R: Sendable>(
    _ body: @Sendable @escaping () async throws -> R
  ) -> Task<R, any Error> { Task.immediate { try await body() } }

  @Test(arguments: StreamSetting.all, Place.allCases)
  func `L-76 a conversation from anywhere is the same as on the loop`(
    setting: StreamSetting, place: Place
  ) async throws {
    try await withTestLoop { loop, _ in
      let (stream, peer) = try await loop.run { loop in
        loop.probe.runsInline = setting.isInline
        return try await setting.kind.connect(on: loop)
      }
      async let echoed: Void = onPlainThread {
        // So that nobody waits for an answer where this fails.
        defer { peer.abort() }
        while case let bytes = try peer.receive(), !bytes.isEmpty { try peer.sendAll(bytes) }
      }
      #expect(try await Self.talk(over: stream, at: place, loop) == Self.expected)
      try await echoed
      stream.close()
    }
  }

  @Test func `L-76 a task that was started on the spot waits on the loop, though it does not come back there`()
    async throws
  {
    try await onTestStream(StreamSetting(kind: .tcp, isInline: true)) { loop, stream, peer in
      let line = Self.startAtOnce { try await stream.readLine() }
      await expectEventually { stream.inner.reader.isAwaited }
      for byte in Array("cba".utf8) {
        let isWaiting = Shared(false)
        try stream.unread([byte])
        // Behind the task, which finds no end of the line and waits again.
        try loop.post { isWaiting.value = stream.inner.reader.isAwaited }
        try await iterate(loop)
        #expect(isWaiting.value)
      }
      try peer.sendAll("\n")
      #expect(try await line.value == "abc")
    }
  }

  @Test func `L-76 a call from elsewhere is cancelled there, and loses nothing`() async throws {
    try await withTestLoop { loop, _ in
      let (stream, peer) = try await loop.run { loop in try await StreamKind.tcp.connect(on: loop) }
      try peer.sendAll("abc")
      for place in [true, false] {
        let line = place ? Task { @MainActor in try await stream.readLine() } : Task { try await stream.readLine() }
        await expectArrived(3, at: stream)
        await expectEventually { await loop.run { _ in stream.inner.reader.isInUse } }
        line.cancel()
        await #expect(throws: CancellationError.self) { _ = try await line.value }
      }
      try peer.sendAll("\n")
      #expect(try await stream.readLine() == "abc")
      stream.close()
      #expect(await codeOfError { _ = try await stream.read() } == .handleClosed)
    }
  }

  @Test func `L-77 what does not wait is refused to an actor of another loop`() async throws {
    try await onTestStream(StreamSetting(kind: .tcp, isInline: true)) { loop, stream, peer in
      let codes = try await onTestLoop("other") { other, _ in await Resident(on: other).codes(stream) }
      #expect(codes == Array(repeating: .notOnLoop, count: 6))
      #expect(stream.bytesWritten == 0)
      let own = await Resident(on: loop).codes(stream)
      #expect(own == Array(repeating: nil, count: 6))
    }
  }
}
