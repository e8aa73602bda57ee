import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a listener ends: by a close, by being dropped, by a failure, and how its socket moves on.
@Suite(.alone) struct ListenerEndTests {
  @Test func `a close ends every accept with handleClosed, on the loop and elsewhere, and later ones at once`()
    async throws
  {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let tasks = [
        loop.task { _ in _ = try await listener.accept() }, loop.task { _ in _ = try await listener.accept() },
        Task.immediate { _ = try await listener.accept() }, Task.immediate { for try await _ in listener {} },
      ]
      try await loop.run { loop in try await waitForAcceptors(at: listener, on: loop) }
      try await onPlainThread { listener.close() }
      for task in tasks.dropLast() {
        let error = await #expect(throws: UVError.self) { try await task.value }
        #expect(error?.code == .handleClosed)
        #expect(error?.call == "Listener.accept")
      }
      try await tasks[3].value
      #expect(listener.isClosed)
      try await expectCode(.handleClosed) { _ = try await listener.accept() }
      try await expectCode(.handleClosed) { try await listener.serve { _, _ in } }
      try await expectCode(.handleClosed) { _ = try await listener.detach() }
      listener.close()
      await listener.drain(within: .seconds(1))
    }
  }

  @Test func `L-18 closing a listener leaves accepted connections alive`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      let stream = try await listener.accept()
      listener.close()
      try peer.sendAll("still here")
      #expect(try await stream.read(exactly: 10) == Array("still here".utf8))
      try await stream.write("me too")
      #expect(try await onPlainThread { try peer.receive(exactly: 6) } == Array("me too".utf8))
    }
  }

  @Test func `L-70 a closed listener's address is free at once, also with connections open and waiting`() async throws {
    try await onTestLoop { loop, _ in
      var listener = try await loop.listen(on: .loopback(port: 0))
      let address = listener.address
      var streams: [TCPStream] = []
      var peers: [PlainSocket] = []
      for _ in 0..<5 {
        peers.append(try PlainSocket(connectingTo: address.plain))
        streams.append(try await listener.accept())
        // One more waits in the queue, and is reset.
        let waiting = try PlainSocket(connectingTo: address.plain)
        listener.close()
        listener = try await loop.listen(on: .address(address))
        #expect(throws: PlainFailure("recv", errno: ECONNRESET)) { try waiting.receive() }
      }
      for (stream, peer) in zip(streams, peers) {
        try await stream.write("alive")
        #expect(try peer.receive(exactly: 5) == Array("alive".utf8))
      }
    }
  }

  @Test func `a listener that is dropped closes`() async throws {
    try await withTestLoop { loop, _ in
      let address = try await { try await loop.listen(on: .loopback(port: 0)).address }()
      await expectEventually {
        do { _ = try PlainSocket(connectingTo: address.plain) } catch let failure as PlainFailure {
          return failure.errno == ECONNREFUSED
        } catch {}
        return false
      }
    }
  }

  @Test func `shutdown closes a listener first of all, and ends its accepts with loopClosed`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let outside = Task.immediate { _ = try await listener.accept() }
      let inside = loop.task { _ in _ = try await listener.accept() }
      try await loop.run { loop in try await waitForAcceptors(at: listener, on: loop) }
      await loop.shutdown()
      try await expectCode(.loopClosed) { try await outside.value }
      // Its task is the loop's, which cancels it.
      try await expectCancelled { try await inside.value }
      #expect(listener.isClosed)
      #expect(throws: PlainFailure("connect", errno: ECONNREFUSED)) {
        _ = try PlainSocket(connectingTo: listener.address.plain)
      }
      try await expectCode(.loopClosed) { _ = try await listener.accept() }
      try await expectCode(.loopClosed) { try await listener.serve { _, _ in } }
      try await expectCode(.loopClosed) { _ = try await listener.detach() }
      listener.close()
    }
  }

  #if os(Linux)
    @Test func `a failure of the listening socket itself is thrown by accept, and by later ones`() async throws {
      try await onTestLoop { loop, _ in
        let listener = try await loop.listen(on: .loopback(port: 0))
        let task = loop.task { _ in _ = try await listener.accept() }
        try await waitForAcceptors(at: listener, on: loop)
        // Linux: a listening socket stops to be one.
        try listener.withUnsafeDescriptor { _ = shutdown($0, Int32(SHUT_RD)) }
        let error = await #expect(throws: UVError.self) { try await task.value }
        #expect(error?.code == .invalidArgument)
        #expect(listener.isClosed)
        try await expectCode(.invalidArgument) { _ = try await listener.accept() }
      }
    }
  #endif

  @Test func `an adopted socket that somebody closes behind the listener ends it with badFileDescriptor`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        let plain = try PlainListener()
        let listener = try TCPListener(adopting: OwnedDescriptor(owning: plain.descriptor))
        plain.close()
        try await expectCode(.badFileDescriptor) { _ = try await listener.accept() }
        #expect(listener.isClosed)
        // The number is somebody else's by now, and stays open.
        let other = Posix.openNull()
        #expect(other == plain.descriptor || Posix.isOpen(other))
        listener.close()
        try await iterate(loop)
        #expect(Posix.isOpen(other))
      }
    }
  }

  // MARK: - Moving on

  @Test func `L-70 a listener that is detached and adopted on another loop loses nobody in its queue`() async throws {
    try await withTestLoop("first") { first, _ in
      let listener = try await first.listen(on: .loopback(port: 0))
      let address = listener.address
      var peers = try (0..<3).map { _ in try PlainSocket(connectingTo: address.plain) }
      #expect(try await listener.accept().peerAddress == peers.removeFirst().ownAddress)
      let number = try await listener.detach().release()
      #expect(listener.isClosed)
      peers.append(try PlainSocket(connectingTo: address.plain))

      try await withTestLoop("second") { second, _ in
        let adopted = try await second.run { _ in try TCPListener(adopting: OwnedDescriptor(owning: number)) }
        #expect(adopted.address == address)
        for peer in peers {
          let stream = try await adopted.accept()
          #expect(stream.peerAddress == peer.ownAddress)
          try peer.sendAll("x")
          #expect(try await stream.read(exactly: 1) == Array("x".utf8))
        }
      }
    }
  }

  @Test func `L-70 a detach ends a serve as a close does, and keeps who connects meanwhile`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let server = loop.task { _ in try await listener.serve { _, stream in try await stream.copy(to: stream) } }
      let open = try PlainSocket(connectingTo: listener.address.plain)
      #expect(try await onPlainThread { try open.exchange("first") } == "first")
      let number = try await listener.detach().release()
      #expect(listener.isClosed)
      let waiting = try PlainSocket(connectingTo: listener.address.plain)
      #expect(try await onPlainThread { try open.exchange("again") } == "again")

      let adopted = try TCPListener(adopting: OwnedDescriptor(owning: number))
      let successor = loop.task { _ in try await adopted.serve { _, stream in try await stream.copy(to: stream) } }
      #expect(try await onPlainThread { try waiting.exchange("second") } == "second")
      open.close()
      try await server.value
      waiting.close()
      adopted.close()
      try await successor.value
    }
  }

  @Test func `L-70 a listener that moves on again and again loses nobody who connects all the time`() async throws {
    try await withTestLoop("first") { first, _ in
      try await withTestLoop("second") { second, _ in
        var listener = try await first.listen(on: .loopback(port: 0))
        let address = listener.address.plain
        let answered = Shared(0)
        let clients = (0..<3).map { _ in
          Task {
            try await onPlainThread(within: .seconds(60)) {
              for _ in 0..<100 {
                let peer = try PlainSocket(connectingTo: address)
                if try peer.exchange("hello") == "hello" { answered.update { $0 += 1 } }
              }
            }
          }
        }
        var servers: [Task<Void, any Error>] = []
        for round in 1...20 {
          let current = listener
          servers.append(
            Task {
              do {
                try await current.serve { _, stream in try await stream.copy(to: stream) }
              } catch let error as UVError where error.code == .handleClosed {
                // It was detached before this began.
              }
            })
          await expectEventually { answered.value >= round * 10 }
          let number = try await current.detach().release()
          listener = try await (round % 2 == 0 ? first : second).run { _ in
            try TCPListener(adopting: OwnedDescriptor(owning: number))
          }
        }
        let last = listener
        servers.append(Task { try await last.serve { _, stream in try await stream.copy(to: stream) } })
        for client in clients { try await client.value }
        #expect(answered.value == 300)
        last.close()
        for server in servers { try await server.value }
      }
    }
  }

  @Test func `detach is refused while somebody accepts, and with several sockets`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let accept = loop.task { _ in _ = try await listener.accept() }
      try await waitForAcceptors(at: listener, on: loop)
      try await expectCode(.busy) { _ = try await listener.detach() }
      accept.cancel()
      try await expectCancelled { try await accept.value }

      let several = try listenAtBoth(loop)
      try await expectCode(.notSupported) { _ = try await several.detach() }
      #expect(!several.isClosed)
    }
  }

  @Test func `adopting takes a socket that listens, of the kind that its type says`() async throws {
    try await onTestLoop { loop, _ in
      let tcp = try PlainListener()
      let adopted = try TCPListener(adopting: OwnedDescriptor(duplicating: tcp.descriptor))
      #expect(adopted.address == .loopback(port: tcp.port))
      let peer = try PlainSocket(connectingTo: tcp.address)
      #expect(try await adopted.accept().peerAddress == peer.ownAddress)
      adopted.close()

      let any = try Listener<ByteStream>(adopting: OwnedDescriptor(duplicating: tcp.descriptor))
      _ = try PlainSocket(connectingTo: tcp.address)
      #expect(try await any.accept() is TCPStream)

      try expectCode(.invalidArgument) {
        _ = try PipeListener(adopting: OwnedDescriptor(duplicating: tcp.descriptor), isolation: loop)
      }
      let (connected, _) = try PlainSocket.pair()
      try expectCode(.invalidArgument) {
        _ = try PipeListener(adopting: OwnedDescriptor(duplicating: connected.descriptor), isolation: loop)
      }
      let datagram = OwnedDescriptor(owning: Socket.make(AF_INET, Socket.datagram))
      try expectCode(.invalidArgument) {
        _ = try TCPListener(adopting: OwnedDescriptor(duplicating: datagram.rawValue), isolation: loop)
      }
      try expectCode(.notSocket) {
        _ = try TCPListener(adopting: OwnedDescriptor(owning: Posix.openNull()), isolation: loop)
      }
      try expectCode(.badFileDescriptor) {
        _ = try TCPListener(adopting: OwnedDescriptor(owning: -1), isolation: loop)
      }
    }
  }

  @Test func `a listener lends its descriptor on its loop, and nowhere else`() async throws {
    try await onTestLoop { loop, _ in
      var options = TCPListener.Options()
      options.backlog = 7
      let listener = try await loop.listen(on: .loopback(port: 0), options: options)
      let isListening = try listener.withUnsafeDescriptor { Socket.isListening($0) }
      #expect(isListening)
      #if os(Linux)
        let backlog = try listener.withUnsafeDescriptor { listeningBacklog(of: $0) }
        #expect(backlog == 7)
      #endif
      try await onTestLoop("other") { other, _ in
        try expectCode(.notOnLoop) { try listener.withUnsafeDescriptor(isolation: other) { _ in } }
      }
      listener.close()
      try expectCode(.handleClosed) { try listener.withUnsafeDescriptor(isolation: loop) { _ in } }
    }
  }
}

/// One on two sockets, as of a name with two addresses.
func listenAtBoth(_ loop: isolated EventLoop) throws -> TCPListener {
  let sockets = try ListeningSocket.open(
    all: [.loopback(port: 0), .loopback(port: 0, family: .ipv6)], TCPListener.Options())
  return TCPListener(try loop.probe.listener(at: sockets))
}

#if os(Linux)
  /// How many may wait, as the kernel says it of a listening socket: in `tcpi_sacked`.
  private func listeningBacklog(of descriptor: Int32) -> UInt32 {
    var info = [UInt32](repeating: 0, count: 64)
    var size = socklen_t(info.count * 4)
    _ = unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), 11, &info, &size)
    // struct tcp_info: eight bytes of small fields, then rto, ato, snd_mss, rcv_mss, unacked, sacked.
    return info[2 + 5]
  }
#endif
