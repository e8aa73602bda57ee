import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Descriptors that come to a stream, are lent by it, and leave it.
@Suite(.sideBySide) struct StreamDescriptorTests {
  // MARK: Detaching

  @Test(arguments: [StreamKind.tcp, .unix])
  func `L-78 a stream that moves to another loop goes on in the middle`(kind: StreamKind) async throws {
    try await withTestLoop("first") { first, _ in
      try await withTestLoop("second") { second, _ in
        let (stream, peer) = try await first.run { loop in try await kind.connect(on: loop) }
        let pattern = Pattern(seed: 78)
        let sender = Task {
          try await onPlainThread {
            for round in 0..<100 { try peer.sendAll(pattern.bytes(at: round * 10_000, count: 10_000)) }
            try peer.shutdownWriting()
            return try peer.receiveAll()
          }
        }
        var check = PatternCheck(pattern)
        var current: ByteStream = stream
        for move in 0..<6 {
          try await current.write([UInt8(move)])
          for _ in 0..<3 { check.receive(try #require(try await current.read(upTo: 7_000))) }
          // What was read ahead goes along.
          let line = try await current.read(exactly: 10)
          check.receive(line)
          let loop = move % 2 == 0 ? second : first
          let held = try await (move % 2 == 0 ? first : second).run { [current] _ in try current.takeBuffered() }
          let descriptor = try await current.detach()
          #expect(current.isClosed)
          try await expectCode(.handleClosed) { _ = try await current.read() }
          let number = descriptor.release()
          current = try await loop.run { loop in
            let stream: ByteStream =
              kind == .tcp
              ? try TCPStream(adopting: OwnedDescriptor(owning: number))
              : try PipeStream(adopting: OwnedDescriptor(owning: number))
            try stream.unread(held)
            return stream
          }
        }
        while let bytes = try await current.read() { check.receive(bytes) }
        #expect(check.count == 1_000_000 && check.firstDifference == nil)
        current.close()
        #expect(try await sender.value == Array(0..<6))
      }
    }
  }

  @Test func `L-78 while somebody reads or writes, or bytes are held, detach throws busy, and nothing changes`()
    async throws
  {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      let reading = loop.task { _ in try await stream.read() }
      await expectEventually { stream.inner.reader.isAwaited }
      try await expectCode(.busy) { _ = try await stream.detach() }
      try peer.sendAll("first")
      #expect(try await reading.value == Array("first".utf8))

      try stream.startReading(isolation: loop, { _ in }, atEnd: { _ in })
      try await expectCode(.busy) { _ = try await stream.detach() }
      stream.stopReading(isolation: loop)

      try stream.fill(isolation: loop)
      let writing = loop.task { _ in try await stream.write([1]) }
      await expectEventually { stream.queuedBytes == 1 }
      try await expectCode(.busy) { _ = try await stream.detach() }
      try peer.drain()
      try await writing.value

      try stream.unread([7, 8], isolation: loop)
      try await expectCode(.busy) { _ = try await stream.detach() }
      #expect(try stream.takeBuffered(isolation: loop) == [7, 8])
      #expect(!stream.isClosed)
      let descriptor = try await stream.detach()
      #expect(stream.isClosed)
      try peer.sendAll("still there")
      let socket = PlainSocket(owning: descriptor.release())
      #expect(try socket.receive(exactly: 11) == Array("still there".utf8))
    }
  }

  @Test(arguments: [true, false])
  func `L-78 the descriptor is closed by an exec, waits for nothing, and is none that libuv watches`(
    isOnLoop: Bool
  ) async throws {
    try await withTestLoop { loop, _ in
      let (stream, peer) = try await loop.run { loop in
        let (stream, peer) = try await StreamKind.tcp.connect(on: loop)
        try await stream.write([1])
        try peer.sendAll([1])
        _ = try await stream.read()
        return (stream, peer)
      }
      let number =
        isOnLoop
        ? try await loop.run { _ in try await stream.detach().release() } : try await stream.detach().release()
      let descriptor = OwnedDescriptor(owning: number)
      #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
      #expect(fcntl(number, F_GETFL) & O_NONBLOCK != 0)
      // libuv would turn again and again for bytes that nobody takes.
      try peer.sendAll([1, 2, 3])
      try await loop.run { loop in
        try await loop.sleep(for: .milliseconds(5))
        let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(30)) }
        #expect(iterations < 10)
      }
      _ = consume descriptor
    }
  }

  @Test func `L-78 a closed stream, one whose loop has ended, and one without a descriptor`() async throws {
    let stream = try await withTestLoop { loop, _ in
      let (stream, _) = try await loop.run { loop in try await StreamKind.unix.connect(on: loop) }
      stream.close()
      try await expectCode(.handleClosed) { _ = try await stream.detach() }
      return stream
    }
    try await expectCode(.loopClosed) { _ = try await stream.detach() }
    try await onScriptedStream { loop, stream, transport in
      try await expectCode(.notSupported) { _ = try await stream.detach() }
      #expect(!stream.isClosed)
    }
    // The descriptor below carries other bytes.
    try await onTestStream(StreamSetting(kind: .transforming, isInline: true)) { loop, stream, _ in
      try await expectCode(.notSupported) { _ = try await stream.detach() }
      #expect(!stream.isClosed)
    }
  }

  // MARK: Lending

  @Test(arguments: [StreamKind.tcp, .unix, .transforming])
  func `L-102 an option that is set through the descriptor of a stream holds`(kind: StreamKind) async throws {
    try await onTestLoop { loop, _ in
      let (stream, peer) = try await kind.connect(on: loop)
      defer { withExtendedLifetime(peer) {} }
      for size in [Int32(20_000), 40_000] {
        let doubled = try stream.withUnsafeDescriptor(isolation: loop) { descriptor in
          _ = Socket.set(descriptor, SOL_SOCKET, SO_SNDBUF, size)
          return Socket.get(descriptor, SOL_SOCKET, SO_SNDBUF)
        }
        #if os(Linux)
          #expect(doubled == 2 * size)
        #else
          #expect(doubled == size)
        #endif
      }
      struct Failure: Error {}
      #expect(throws: Failure.self) { try stream.withUnsafeDescriptor(isolation: loop) { _ in throw Failure() } }
      stream.close()
      try expectCode(.handleClosed) { try stream.withUnsafeDescriptor(isolation: loop) { _ in } }
    }
  }

  @Test func `L-102 an option that is set through the descriptor of a listener holds`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let lives = try listener.withUnsafeDescriptor(isolation: loop) { descriptor in
        _ = Socket.set(descriptor, Int32(IPPROTO_IP), IP_TTL, 33)
        return Socket.get(descriptor, Int32(IPPROTO_IP), IP_TTL)
      }
      #expect(lives == 33)
      listener.close()
      try expectCode(.handleClosed) { try listener.withUnsafeDescriptor(isolation: loop) { _ in } }
    }
  }

  @Test func `L-102 on another loop neither lends its descriptor`() async throws {
    try await withTestLoop("own") { own, _ in
      let listener = try await own.listen(on: .loopback(port: 0))
      let (stream, _) = try await own.run { loop in try await StreamKind.unix.connect(on: loop) }
      try await withTestLoop("other") { other, _ in
        await other.run { _ in
          await #expect(throws: Never.self) {
            try await other.run { loop in
              try expectCode(.notOnLoop) { try stream.withUnsafeDescriptor(isolation: loop) { _ in } }
              try expectCode(.notOnLoop) { try listener.withUnsafeDescriptor(isolation: loop) { _ in } }
            }
          }
        }
      }
      stream.close()
      listener.close()
    }
  }

  @Test func `L-102 a stream that has no descriptor throws notSupported`() async throws {
    try await onScriptedStream { loop, stream, transport in
      try expectCode(.notSupported) { try stream.withUnsafeDescriptor(isolation: loop) { _ in } }
      try await stream.write([])
    }
  }

  // MARK: Adopting

  /// What is no connected stream, or is one of the other kind.
  enum Wrong: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case closed, file, datagram, listening, unconnected, pipeEnd, tcp, unix, listeningUnix, datagramUnix

    var testDescription: String { rawValue }

    func make() throws -> Int32 {
      switch self {
      // Above what any limit allows.
      case .closed: return .max - 7
      // One of its own, since others open `/dev/null` as well, and may get the number when it is closed.
      case .file:
        guard let file = unsafe tmpfile() else { throw PlainFailure("tmpfile") }
        defer { unsafe fclose(file) }
        return unsafe dup(fileno(file))
      case .datagram: return try check(Socket.make(AF_INET, Socket.datagram), "socket")
      case .datagramUnix: return try check(Socket.make(AF_UNIX, Socket.datagram), "socket")
      case .unconnected: return try openPlainSocket(AF_INET)
      case .listening:
        let listener = try PlainListener()
        return dup(listener.descriptor)
      case .listeningUnix:
        let listener = try PlainListener(on: .unix("/tmp/uvloop-wrong-\(getpid())"))
        return dup(listener.descriptor)
      case .pipeEnd:
        var ends: [Int32] = [-1, -1]
        _ = unsafe pipe(&ends)
        Posix.close(ends[1])
        return ends[0]
      case .tcp:
        let listener = try PlainListener()
        return try PlainSocket(connectingTo: listener.address).release()
      case .unix: return try PlainSocket.pair().0.release()
      }
    }

    var code: UVError.Code { self == .closed ? .badFileDescriptor : .invalidArgument }
  }

  @Test(arguments: Wrong.allCases)
  func `L-22 what is no connected stream of its kind is refused, and closed`(wrong: Wrong) async throws {
    try await onTestLoop { loop, _ in
      if wrong != .tcp {
        let number = try wrong.make()
        let identity = Posix.Identity(of: number)
        try expectCode(wrong.code) { _ = try TCPStream(adopting: OwnedDescriptor(owning: number), isolation: loop) }
        #expect(identity == nil || Posix.Identity(of: number) != identity)
      }
      if wrong != .unix && wrong != .pipeEnd {
        let number = try wrong.make()
        let identity = Posix.Identity(of: number)
        try expectCode(wrong.code) { _ = try PipeStream(adopting: OwnedDescriptor(owning: number), isolation: loop) }
        #expect(identity == nil || Posix.Identity(of: number) != identity)
      }
      #expect(loop.probe.streams.isEmpty)
    }
  }

  @Test func `L-22 options that are not possible are refused before the descriptor is taken, and it is closed`()
    async throws
  {
    try await onTestLoop { loop, _ in
      let (ours, peer) = try PlainSocket.pair()
      var options = ByteStream.Options()
      options.sendBufferSize = 0
      try expectCode(.invalidArgument) {
        _ = try PipeStream(adopting: OwnedDescriptor(owning: ours.release()), options: options, isolation: loop)
      }
      #expect(try peer.receiveAll().isEmpty)
    }
  }

  @Test func `a pipe's end is a stream of one direction`() async throws {
    try await onTestLoop { loop, _ in
      var ends: [Int32] = [-1, -1]
      #expect(unsafe pipe(&ends) == 0)
      let reading = try PipeStream(adopting: OwnedDescriptor(owning: ends[0]), isolation: loop)
      let writing = try PipeStream(adopting: OwnedDescriptor(owning: ends[1]), isolation: loop)
      let bytes = Pattern(seed: 1).bytes(count: 300_000)
      let sender = loop.task { _ in
        try await writing.write(bytes)
        writing.close()
      }
      #expect(try await reading.readAll(limit: 400_000) == bytes)
      try await sender.value
      let code = try await errorCode { try await reading.write([1]) }
      #expect(code != nil)
      reading.close()
    }
  }

  @Test func `the end of writing to a pipe is the end that its reader sees`() async throws {
    try await onTestLoop { loop, _ in
      var ends: [Int32] = [-1, -1]
      #expect(unsafe pipe(&ends) == 0)
      let source = ends[0]
      let writing = try PipeStream(adopting: OwnedDescriptor(owning: ends[1]), isolation: loop)
      let bytes = Pattern(seed: 2).bytes(count: 300_000)
      let reader = Task {
        try await onPlainThread {
          var (all, part) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
          while case let count = unsafe read(source, &part, part.count), count > 0 { all += part[..<count] }
          Posix.close(source)
          return all
        }
      }
      try await writing.write(bytes)
      try await writing.finishWriting()
      #expect(try await reader.value == bytes)
      #expect(!writing.isClosed)
      try await expectCode(.brokenPipe) { try await writing.write([1]) }
      try await expectCode(.handleClosed) { _ = try await writing.read() }
      try expectCode(.notSupported) { try writing.withUnsafeDescriptor(isolation: loop) { _ in } }
      writing.close()
      #expect(writing.isClosed)
    }
  }
}
