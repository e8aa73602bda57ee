import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Streams that are sent over a Unix socket to a peer that shares no code with the library.
@Suite(.sideBySide) struct StreamPassingTests {
  @Test(arguments: StreamSetting.of([.tcp, .unix]))
  func `L-26 a stream that is sent is usable at the other end, and may be closed at once`(
    setting: StreamSetting
  ) async throws {
    try await onPassingPipe { loop, pipe, other in
      loop.probe.runsInline = setting.isInline
      let (stream, peer) = try await setting.kind.connect(on: loop)
      try await stream.write("before ")
      try await pipe.send(stream, with: Array("payload".utf8))
      stream.close()
      let (bytes, descriptors) = try await onPlainThread { try other.receiveWithDescriptors() }
      #expect(bytes == Array("payload".utf8))
      try #require(descriptors.count == 1)
      let passed = PlainSocket(owning: descriptors[0])
      try passed.sendAll("and behind")
      passed.close()
      #expect(try await onPlainThread { try peer.receiveAll() } == Array("before and behind".utf8))
    }
  }

  @Test func `L-26 the sender keeps its stream, and a stream of another loop can be sent`() async throws {
    try await withTestLoop("other") { second, _ in
      try await onPassingPipe { loop, pipe, other in
        for owner in [loop, second] {
          let (stream, peer) = try await owner.run { loop in try await StreamKind.tcp.connect(on: loop) }
          try await pipe.send(stream)
          let (bytes, descriptors) = try await onPlainThread { try other.receiveWithDescriptors() }
          #expect(bytes == [0] && descriptors.count == 1)
          for descriptor in descriptors { Posix.close(descriptor) }
          try await stream.write("still here")
          #expect(try await onPlainThread { try peer.receive(exactly: 10) } == Array("still here".utf8))
          stream.close()
          #expect(try await onPlainThread { try peer.receiveAll() }.isEmpty)
        }
      }
    }
  }

  @Test func `L-26 one end of a pipe can be sent too`() async throws {
    try await onPassingPipe { loop, pipe, other in
      var ends: [Int32] = [-1, -1]
      try #require(makePlainPipe(&ends) == 0)
      let reading = try PipeStream(adopting: OwnedDescriptor(owning: ends[0]))
      let writing = try PipeStream(adopting: OwnedDescriptor(owning: ends[1]))
      try await pipe.send(writing, with: [1])
      writing.close()
      let (_, descriptors) = try await onPlainThread { try other.receiveWithDescriptors() }
      try other.pass(descriptors, with: [2])
      Posix.close(try #require(descriptors.first))
      let back = try #require(try await pipe.receiveStream())
      #expect(back is PipeStream)
      try await back.write("through")
      back.close()
      #expect(try await reading.readAll(limit: 100) == Array("through".utf8))
      reading.close()
    }
  }

  @Test func `L-26 a send without a byte, and one that the pipe or the stream cannot do, is refused`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let (stream, peer) = try await StreamKind.tcp.connect(on: loop)
      defer { stream.close() }
      try await expectCode(.invalidArgument) { try await pipe.send(stream, with: []) }

      let (plain, _) = try await StreamKind.unix.connect(on: loop)
      let bare = try #require(plain as? PipeStream)
      try await expectCode(.notSupported) { try await bare.send(stream) }
      try await expectCode(.notSupported) { _ = try await bare.receiveStream() }
      bare.close()

      let (upper, _) = try await StreamKind.transforming.connect(on: loop)
      try await expectCode(.notSupported) { try await pipe.send(upper) }
      upper.close()

      try peer.sendAll("line\nand more")
      #expect(try await stream.readLine() == "line")
      try await expectCode(.busy) { try await pipe.send(stream) }
      let ahead = try stream.takeBuffered()
      try await pipe.send(stream, with: ahead)
      let (bytes, descriptors) = try await onPlainThread { try other.receiveWithDescriptors() }
      #expect(bytes == Array("and more".utf8) && descriptors.count == 1)
      for descriptor in descriptors { Posix.close(descriptor) }

      // Its rest would come between what the other process writes.
      let (far, unread) = try PlainSocket.pair()
      defer { unread.close() }
      let full = try far.adopted(on: loop)
      try full.fill()
      let writing = loop.task { _ in try await full.write([1]) }
      await expectEventually { full.queuedBytes > 0 }
      try await expectCode(.busy) { try await pipe.send(full) }

      full.close()
      try await expectCode(.handleClosed) { try await writing.value }
      try await expectCode(.handleClosed) { try await pipe.send(full) }
      try await pipe.finishWriting()
      let (last, _) = try await StreamKind.tcp.connect(on: loop)
      try await expectCode(.brokenPipe) { try await pipe.send(last) }
      last.close()
      pipe.close()
      try await expectCode(.handleClosed) { _ = try await pipe.receiveStream() }
    }
  }

  @Test func `options ask in vain for passing over what is no socket`() async throws {
    try await onTestLoop { loop, _ in
      var ends: [Int32] = [-1, -1]
      try #require(makePlainPipe(&ends) == 0)
      Posix.close(ends[0])
      let pipe = try PipeStream(adopting: OwnedDescriptor(owning: ends[1]), options: .passing)
      try await expectCode(.notSupported) { try await pipe.send(pipe) }
      pipe.close()
    }
  }

  // MARK: - Writers

  @Test(arguments: [1, 100_000])
  func `L-26 a stream waits for its turn among the writes, and goes with its first byte`(count: Int) async throws {
    try await onPassingPipe { loop, pipe, other in
      let (stream, peer) = try await StreamKind.tcp.connect(on: loop)
      let filled = try pipe.fill()
      let before = loop.task { _ in try await pipe.write([1, 2, 3]) }
      await expectEventually { pipe.queuedBytes == 3 }
      let payload = Pattern(seed: 26).bytes(count: count)
      let sending = loop.task { _ in try await pipe.send(stream, with: payload) }
      await expectEventually { pipe.queuedBytes == 3 + count }
      // The kernel's copy is made much later.
      stream.close()
      await Task.yield()

      let whole = filled + 3 + count
      let received = try await onPlainThread { try other.receiveWithDescriptors(exactly: whole) }
      try await before.value
      try await sending.value
      #expect(Array(received.bytes[filled...]) == [1, 2, 3] + payload)
      #expect(received.place?.contains(filled + 3) == true)
      try #require(received.descriptors.count == 1)
      Posix.close(received.descriptors[0])
      #expect(try await onPlainThread { try peer.receiveAll() }.isEmpty)
      #expect(pipe.queuedBytes == 0)
    }
  }

  enum Ending: CaseIterable { case cancelled, closed, limit, reset }

  @Test(arguments: Ending.allCases)
  func `L-26 a stream that waits to be sent and is not closes its second descriptor`(ending: Ending) async throws {
    try await onPassingPipe { loop, pipe, other in
      let (stream, peer) = try await StreamKind.tcp.connect(on: loop)
      let filled = try pipe.fill()
      // Longer than what is sent whole, so that the one behind it never begins.
      let before = loop.task { _ in try await pipe.write([UInt8](repeating: 7, count: 100_000)) }
      await expectEventually { pipe.queuedBytes == 100_000 }
      let sending = loop.task { _ in try await pipe.send(stream, with: [1]) }
      await expectEventually { pipe.queuedBytes == 100_001 }
      stream.close()
      #expect(try peer.receiveNow() == nil)
      switch ending {
      case .cancelled:
        sending.cancel()
        try await expectCancelled { try await sending.value }
        #expect(pipe.queuedBytes == 100_000)
      case .closed:
        pipe.close()
        try await expectCode(.handleClosed) { try await sending.value }
      case .limit:
        pipe.timeouts.write = .milliseconds(10)
        try await expectCode(.timedOut) { try await sending.value }
      case .reset:
        other.close()
        try await expectCode(.brokenPipe) { try await sending.value }
      }
      // Its one descriptor was the one that waited. Inside the macro the closure would be taken for the other one.
      let rest = try await onPlainThread { try peer.receiveAll() }
      #expect(rest.isEmpty)
      if ending == .cancelled {
        let count = filled + 100_000
        let bytes = try await onPlainThread { try other.receive(exactly: count) }
        #expect(bytes.count == count)
        try await before.value
      }
      before.cancel()
      _ = await before.result
    }
  }

  @Test func `L-26 a send that has begun goes out whole though its task is cancelled`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let (stream, peer) = try await StreamKind.tcp.connect(on: loop)
      let filled = try pipe.fill()
      let sending = loop.task { _ in try await pipe.send(stream, with: [1, 2]) }
      await expectEventually { pipe.queuedBytes == 2 }
      sending.cancel()
      try await expectCancelled { try await sending.value }
      stream.close()
      let whole = filled + 2
      let received = try await onPlainThread { try other.receiveWithDescriptors(exactly: whole) }
      #expect(received.bytes.suffix(2) == [1, 2] && received.descriptors.count == 1)
      for descriptor in received.descriptors { Posix.close(descriptor) }
      let rest = try await onPlainThread { try peer.receiveAll() }
      #expect(rest.isEmpty)
      try await pipe.write("whole")
    }
  }

  @Test func `L-26 when the loop shuts down a stream that waits to be sent is closed`() async throws {
    let (ours, other) = try PlainSocket.pair()
    let number = ours.release()
    let peer = try await withTestLoop { loop, _ in
      let (peer, sending) = try await loop.run { loop in
        let pipe = try PipeStream(adopting: OwnedDescriptor(owning: number), options: .passing)
        let (stream, peer) = try await StreamKind.tcp.connect(on: loop)
        try pipe.fill()
        return (peer, Task { try await pipe.send(stream) })
      }
      await expectEventually {
        await loop.run { loop in loop.probe.streams.contains { $0.writer.queuedBytes == 1 } }
      }
      await loop.shutdown()
      try await expectCode(.loopClosed) { try await sending.value }
      return peer
    }
    #expect(try await onPlainThread { try peer.receiveAll() }.isEmpty)
    other.close()
  }
}

/// With a pipe over which streams are sent, which is closed afterwards, and its peer.
func onPassingPipe(
  options: ByteStream.Options = .passing, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: @Sendable (_ loop: isolated EventLoop, _ pipe: PipeStream, _ other: PlainSocket) async throws -> Void
) async throws {
  try await onTestLoop(sourceLocation: sourceLocation) { loop, _ in
    let (ours, other) = try PlainSocket.pair()
    let pipe = try ours.adopted(on: loop, options: options)
    defer { pipe.close() }
    try await body(loop, pipe, other)
  }
}

extension ByteStream.Options {
  static var passing: ByteStream.Options {
    var options = ByteStream.Options()
    options.passesStreams = true
    return options
  }
}

/// Outside the suite, where a stream of that name would hide the system's.
private func makePlainPipe(_ ends: inout [Int32]) -> Int32 { unsafe pipe(&ends) }
