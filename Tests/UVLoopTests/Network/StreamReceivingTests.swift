import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Streams that come over a Unix socket from a peer that shares no code with the library.
@Suite(.sideBySide) struct StreamReceivingTests {
  enum Kind: CaseIterable { case tcp, unix }

  /// A connection: one end to be sent, and the other.
  private static func connection(_ kind: Kind) throws -> (PlainSocket, PlainSocket) {
    if kind == .unix { return try PlainSocket.pair() }
    let listener = try PlainListener()
    let client = try PlainSocket(connectingTo: listener.address)
    return (client, try listener.accept())
  }

  @Test(arguments: [true, false], Kind.allCases)
  func `L-97 a stream comes whole, of its own kind, with the bytes beside it`(isInline: Bool, kind: Kind) async throws {
    try await onPassingPipe { loop, pipe, other in
      loop.probe.runsInline = isInline
      let (near, far) = try Self.connection(kind)
      // Whether it comes before somebody waits or behind that.
      for round in 0..<4 {
        let early = round % 2 == 0
        if early { try other.pass([near.descriptor], with: Array("tag".utf8)) }
        let receiving = loop.task { _ in try await pipe.receiveStream() }
        if !early {
          await expectEventually { await loop.run { _ in pipe.inner.reader.receiver?.isAwaited == true } }
          try other.pass([near.descriptor], with: Array("tag".utf8))
        }
        let stream = try #require(try await receiving.value)
        #expect(kind == .tcp ? stream is TCPStream : stream is PipeStream)
        #expect(try await pipe.read(exactly: 3) == Array("tag".utf8))
        if kind == .tcp { #expect(stream.peerAddress == far.ownAddress) }
        try far.sendAll("ping")
        #expect(try await stream.read(exactly: 4) == Array("ping".utf8))
        try await stream.write("pong")
        #expect(try await onPlainThread { try far.receive(exactly: 4) } == Array("pong".utf8))
        let flags = try stream.withUnsafeDescriptor { fcntl($0, F_GETFD) }
        #expect(flags & FD_CLOEXEC != 0)
        stream.close()
      }
      near.close()
      #expect(try await onPlainThread { try far.receiveAll() }.isEmpty)
    }
  }

  @Test func `L-97 streams queue, in order, and the bytes beside them are read as all others`() async throws {
    try await onPassingPipe { loop, pipe, other in
      var peers: [PlainSocket] = []
      let pattern = Pattern(seed: 97)
      try other.sendAll(pattern.bytes(at: 0, count: 5))
      for index in 0..<20 {
        let (near, far) = try Self.connection(index % 2 == 0 ? .unix : .tcp)
        try other.pass([near.descriptor], with: pattern.bytes(at: 5 + index * 10, count: 7))
        try other.sendAll(pattern.bytes(at: 5 + index * 10 + 7, count: 3))
        near.close()
        peers.append(far)
      }
      try other.shutdownWriting()
      // The bytes first, in two reads each, and then the streams; or the other way round.
      var check = PatternCheck(pattern)
      for index in 0..<10 {
        check.receive(try await pipe.read(exactly: index == 0 ? 11 : 6))
        check.receive(try await pipe.read(exactly: 4))
      }
      for (index, far) in peers.enumerated() {
        let stream = try #require(try await pipe.receiveStream())
        try await stream.write([UInt8(index)])
        stream.close()
        #expect(try await onPlainThread { try far.receiveAll() } == [UInt8(index)])
      }
      #expect(try await pipe.receiveStream() == nil)
      #expect(try await pipe.receiveStream() == nil)
      while let bytes = try await pipe.read() { check.receive(bytes) }
      #expect(check.count == 205 && check.firstDifference == nil)
    }
  }

  @Test func `L-97 one task reads while another one receives`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let reading = loop.task { _ in try await pipe.readAll(limit: 1 << 20) }
      let receiving = loop.task { _ in
        var count = 0
        while let stream = try await pipe.receiveStream() {
          stream.close()
          count += 1
        }
        return count
      }
      try await onPlainThread {
        for _ in 0..<200 {
          let (near, _) = try PlainSocket.pair()
          try other.pass([near.descriptor], with: [UInt8](repeating: 9, count: 1_000))
        }
        try other.shutdownWriting()
      }
      #expect(try await receiving.value == 200)
      #expect(try await reading.value == [UInt8](repeating: 9, count: 200_000))
    }
  }

  @Test func `a task that receives hears of it when the one that read has gone, and nobody else reads`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let reading = loop.task { _ in try await pipe.read(exactly: 1 << 20) }
      let receiving = loop.task { _ in try await pipe.receiveStream() }
      await expectEventually { await loop.run { _ in pipe.inner.reader.receiver?.isAwaited == true } }
      try other.sendAll([UInt8](repeating: 7, count: 65_536))
      await expectArrived(65_536, at: pipe)
      reading.cancel()
      try await expectCancelled { _ = try await reading.value }
      try other.sendAll([7])
      try await expectCode(.messageTooLong) { _ = try await receiving.value }
      #expect(try await pipe.read(exactly: 65_537).count == 65_537)
    }
  }

  @Test func `L-97 tryRead takes the streams beside its bytes`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let (near, far) = try PlainSocket.pair()
      try other.pass([near.descriptor], with: [5])
      near.close()
      var bytes: [UInt8] = []
      #expect(try pipe.tryRead(into: &bytes) == 1)
      #expect(bytes == [5])
      let stream = try #require(try await pipe.receiveStream())
      stream.close()
      await expectEventually { far.isAtEnd() }
    }
  }

  @Test func `L-97 while nobody reads what is sent stays in the kernel`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let reading = loop.task { _ in try await pipe.read() }
      await expectEventually { await loop.run { _ in pipe.inner.reader.hasWaiter } }
      try other.sendAll([1])
      #expect(try await reading.value == [1])
      let (near, far) = try PlainSocket.pair()
      try other.pass([near.descriptor], with: [2])
      near.close()
      for _ in 0..<5 { try await loop.sleep(for: .milliseconds(1)) }
      #expect(pipe.bytesRead == 1 && pipe.inner.reader.receiver?.isEmpty == true)
      #expect(!far.isAtEnd())
      pipe.close()
      await expectEventually { far.isAtEnd() }
    }
  }

  enum End: CaseIterable { case closed, dropped, graceful, shutdown }

  @Test(arguments: End.allCases)
  func `L-97 a stream that nobody takes is closed with the pipe`(end: End) async throws {
    let (ours, other) = try PlainSocket.pair()
    let number = ours.release()
    let (near, far) = try PlainSocket.pair()
    try await withTestLoop { loop, _ in
      try await loop.run { loop in
        let pipe = try PipeStream(adopting: OwnedDescriptor(owning: number), options: .passing)
        try other.pass([near.descriptor], with: [1, 2])
        near.close()
        #expect(try await pipe.read(exactly: 1) == [1])
        #expect(pipe.inner.reader.receiver?.isEmpty == false)
        #expect(!far.isAtEnd())
        switch end {
        case .closed: pipe.close()
        case .dropped, .shutdown: break
        case .graceful:
          other.close()
          await pipe.closeGracefully(within: .seconds(60))
        }
        if end == .shutdown { loop.task { _ in try await pipe.read(exactly: 2) } }
      }
      if end != .shutdown { await expectEventually { far.isAtEnd() } }
    }
    await expectEventually { far.isAtEnd() }
  }

  @Test func `L-97 of more than 64 that wait the others are closed, and said`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let pairs = try (0..<70).map { _ in try PlainSocket.pair() }
      try other.pass(pairs.map(\.0.descriptor), with: [1])
      for pair in pairs { pair.0.close() }
      #expect(try await pipe.read() == [1])
      // A process that is being started elsewhere may have copies for a moment.
      await expectEventually { pairs.map { $0.1.isAtEnd() } == (0..<70).map { $0 >= 64 } }
      for (index, pair) in pairs.prefix(64).enumerated() {
        let stream = try #require(try await pipe.receiveStream())
        try await stream.write([UInt8(index)])
        #expect(try pair.1.receiveNow() == [UInt8(index)])
        stream.close()
      }
      let error = await #expect(throws: UVError.self) { _ = try await pipe.receiveStream() }
      #expect(error?.code == .noBufferSpace)
      #expect(error?.message.contains("6 behind them") == true)

      let (near, _) = try PlainSocket.pair()
      try other.pass([near.descriptor], with: [2])
      #expect(try await pipe.receiveStream() != nil)
    }
  }

  @Test func `a pipe that passes no streams closes what comes, and reads the bytes`() async throws {
    try await onPassingPipe(options: .init()) { loop, pipe, other in
      let (near, far) = try PlainSocket.pair()
      try other.pass([near.descriptor], with: [1])
      near.close()
      #expect(try await pipe.read() == [1])
      await expectEventually { far.isAtEnd() }
    }
  }

  enum Stranger: CaseIterable { case file, datagrams, listening, device }

  @Test(arguments: Stranger.allCases)
  func `L-97 what is no stream is closed, and said`(stranger: Stranger) async throws {
    try await onPassingPipe { loop, pipe, other in
      let file = try #require(TemporaryFile())
      let listener = try PlainListener()
      let datagrams = socket(AF_INET, Socket.datagram, 0)
      defer { Posix.close(datagrams) }
      let null = Posix.openNull()
      defer { Posix.close(null) }
      let descriptor =
        switch stranger {
        case .file: file.descriptor
        case .datagrams: datagrams
        case .listening: listener.descriptor
        case .device: null
        }
      try other.pass([descriptor], with: [1])
      let (near, _) = try PlainSocket.pair()
      try other.pass([near.descriptor], with: [2])
      // The first error is of the first, and the next is none.
      #expect(try await pipe.read() == [1])
      try #require(pipe.inner.reader.receiver?.isEmpty == false)
      try await expectCode(.invalidArgument) { _ = try await pipe.receiveStream() }
      #expect(try await pipe.receiveStream() is PipeStream)
    }
  }

  @Test func `a connection that its peer has reset on the way says so when it is read`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let (near, far) = try Self.connection(.tcp)
      try other.pass([near.descriptor], with: [1])
      near.close()
      far.reset()
      let stream = try #require(try await pipe.receiveStream())
      try await expectCode(.connectionReset) { _ = try await stream.read() }
      stream.close()
    }
  }

  // MARK: - Waits

  @Test func `one task at a time receives, and a wait that is cancelled loses nothing`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let receiving = loop.task { _ in try await pipe.receiveStream() }
      await expectEventually { await loop.run { _ in pipe.inner.reader.receiver?.isAwaited == true } }
      #expect(loop.snapshot().streams.map(\.isReading) == [true])
      try await expectCode(.busy) { _ = try await pipe.receiveStream() }
      try await expectCode(.busy) { _ = try await pipe.detach() }
      receiving.cancel()
      try await expectCancelled { _ = try await receiving.value }
      let (near, _) = try PlainSocket.pair()
      try other.pass([near.descriptor], with: [1])
      #expect(try await pipe.read() == [1])
      try await expectCode(.busy) { _ = try await pipe.detach() }
      let late = loop.task { _ in try await pipe.receiveStream() }
      late.cancel()
      try await expectCancelled { _ = try await late.value }
      #expect(try await pipe.receiveStream() != nil)
      let descriptor = try await pipe.detach()
      #expect(descriptor.rawValue >= 0)
    }
  }

  @Test func `close and a limit end the wait for a stream`() async throws {
    try await onPassingPipe { loop, pipe, other in
      pipe.timeouts.read = .milliseconds(10)
      try await expectCode(.timedOut) { _ = try await pipe.receiveStream() }
      pipe.timeouts.read = nil
      let receiving = loop.task { _ in try await pipe.receiveStream() }
      await expectEventually { await loop.run { _ in pipe.inner.reader.receiver?.isAwaited == true } }
      pipe.close()
      try await expectCode(.handleClosed) { _ = try await receiving.value }
    }
  }

  @Test func `a shutdown ends the wait for a stream`() async throws {
    let (ours, other) = try PlainSocket.pair()
    let number = ours.release()
    try await withTestLoop { loop, _ in
      let pipe = try await loop.run { _ in
        try PipeStream(adopting: OwnedDescriptor(owning: number), options: .passing)
      }
      let receiving = Task.detached { try await pipe.receiveStream() }
      await expectEventually { await loop.run { _ in pipe.inner.reader.receiver?.isAwaited == true } }
      await loop.shutdown()
      try await expectCode(.loopClosed) { _ = try await receiving.value }
      try await expectCode(.loopClosed) { _ = try await pipe.receiveStream() }
    }
    other.close()
  }

  @Test func `a stream can be received, and sent, from elsewhere than on the loop`() async throws {
    let (ours, other) = try PlainSocket.pair()
    let number = ours.release()
    try await withTestLoop { loop, _ in
      let pipe = try await loop.run { _ in
        try PipeStream(adopting: OwnedDescriptor(owning: number), options: .passing)
      }
      let receiving = Task.detached { try await pipe.receiveStream() }
      let (near, far) = try PlainSocket.pair()
      try other.pass([near.descriptor], with: [1])
      near.close()
      let stream = try #require(try await receiving.value)
      try await Task.detached { try await pipe.send(stream, with: [3]) }.value
      stream.close()
      let (bytes, descriptors) = try await onPlainThread { try other.receiveWithDescriptors() }
      #expect(bytes == [3] && descriptors.count == 1)
      for descriptor in descriptors { Posix.close(descriptor) }
      await expectEventually { far.isAtEnd() }
      pipe.close()
    }
  }

  @Test func `with 64 KiB that nobody reads the next stream is out of reach, until they are read`() async throws {
    try await onPassingPipe { loop, pipe, other in
      let (near, _) = try PlainSocket.pair()
      let sending = Task {
        try await onPlainThread {
          try other.sendAll([UInt8](repeating: 7, count: 70_000))
          try other.pass([near.descriptor], with: [1])
        }
      }
      try await expectCode(.messageTooLong) { _ = try await pipe.receiveStream() }
      try await expectCode(.messageTooLong) { _ = try await pipe.receiveStream() }
      #expect(pipe.bytesRead == 65_536)
      #expect(try await pipe.read(exactly: 70_000).count == 70_000)
      #expect(try await pipe.receiveStream() != nil)
      #expect(try await pipe.read() == [1])
      try await sending.value
    }
  }

  @Test func `what comes has the options of the pipe`() async throws {
    var options = ByteStream.Options.passing
    options.writeQueueLimit = 17
    options.timeouts.write = .seconds(7)
    try await onPassingPipe(options: options) { loop, pipe, other in
      let (near, far) = try PlainSocket.pair()
      try other.pass([near.descriptor], with: [1])
      let stream = try #require(try await pipe.receiveStream() as? PipeStream)
      #expect(stream.timeouts.write == .seconds(7))
      #expect(stream.inner.writeQueueLimit == 17)
      #expect(try await pipe.read() == [1])
      // So it passes streams itself.
      try await stream.send(pipe, with: [2])
      let (bytes, descriptors) = try await onPlainThread { try far.receiveWithDescriptors() }
      #expect(bytes == [2] && descriptors.count == 1)
      for descriptor in descriptors { Posix.close(descriptor) }
      stream.close()
    }
  }
}
