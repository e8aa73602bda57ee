import Testing

@testable import UVLoop

/// Listening on TCP, and whom `accept` gives what has connected.
@Suite(.sideBySide) struct ListenerTests {
  @Test func `L-02 listening on port 0 reports the port that was given, and a peer reaches it`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let port = try #require(listener.address.port)
      #expect(port != 0)
      #expect(listener.address == .loopback(port: port))
      #expect(listener.description == "Listener on 127.0.0.1:\(port) of loop \"test\"")

      let peer = try PlainSocket(connectingTo: .ipv4(port: port))
      let stream = try await listener.accept()
      #expect(stream.localAddress == listener.address)
      #expect(stream.peerAddress == peer.ownAddress)
      try peer.sendAll("hello")
      #expect(try await stream.read(exactly: 5) == Array("hello".utf8))
      try await stream.write("hello yourself")
      stream.close()
      #expect(try await onPlainThread { try peer.receiveAll() } == Array("hello yourself".utf8))
    }
  }

  @Test func `L-03 a port that is taken throws addressInUse, and names the address`() async throws {
    try await withTestLoop { loop, _ in
      let taken = try PlainListener()
      let error = await #expect(throws: UVError.self) { _ = try await loop.listen(on: .loopback(port: taken.port)) }
      #expect(error?.code == .addressInUse)
      #expect(error?.call == "EventLoop.listen")
      #expect(error?.message.contains("127.0.0.1:\(taken.port)") == true)

      let listener = try await loop.listen(on: .loopback(port: 0))
      try await expectCode(.addressInUse) { _ = try await loop.listen(on: .address(listener.address)) }
      #expect(!listener.isClosed)
    }
  }

  @Test func `an address of another machine, and a backlog that lets nobody in, are refused`() async throws {
    try await withTestLoop { loop, _ in
      // RFC 5737: an address for documentation.
      try await expectCode(.addressNotAvailable) { _ = try await loop.listen(on: .tcp("192.0.2.1", 0)) }
      var options = TCPListener.Options()
      options.backlog = 0
      try await expectCode(.invalidArgument) { _ = try await loop.listen(on: .loopback(port: 0), options: options) }
    }
  }

  @Test func `tasks that accept get connections in the order in which they came`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let order = Shared<[Int]>([])
      let tasks = (0..<4).map { number in
        loop.task { _ in
          let stream = try await listener.accept()
          order.update { $0.append(number) }
          return stream
        }
      }
      try await waitForAcceptors(at: listener, on: loop)
      let peers = try (0..<4).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      var addresses: [SocketAddress?] = []
      for task in tasks { addresses.append(try await task.value.peerAddress) }
      #expect(order.value == [0, 1, 2, 3])
      #expect(addresses == peers.map(\.ownAddress))
    }
  }

  @Test func `an accept that is cancelled between others takes no connection with it`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let tasks = (0..<5).map { _ in loop.task { _ in try await listener.accept() } }
      try await waitForAcceptors(at: listener, on: loop)
      for cancelled in [1, 3] { tasks[cancelled].cancel() }
      try await expectCancelled { _ = try await tasks[1].value }
      try await expectCancelled { _ = try await tasks[3].value }
      let peers = try (0..<4).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      let addresses = try await loop.withTimeout(.seconds(20)) {
        var addresses: [SocketAddress?] = []
        for waiting in [0, 2, 4] { addresses.append(try await tasks[waiting].value.peerAddress) }
        addresses.append(try await listener.accept().peerAddress)
        return addresses
      }
      #expect(addresses == peers.map(\.ownAddress))
      #expect(listener.statistics.accepted == 4)
    }
  }

  @Test func `tasks that were started on the spot accept beside others, and each gets a connection of its own`()
    async throws
  {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      for _ in 0..<100 {
        let onTheSpot = (0..<2).map { _ in acceptOnTheSpot(listener) }
        let peers = try (0..<4).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        var addresses: [SocketAddress?] = []
        for _ in 0..<2 { addresses.append(try await listener.accept().peerAddress) }
        for task in onTheSpot { addresses.append(try await task.value) }
        #expect(Set(addresses) == Set(peers.map(\.ownAddress)))
      }
    }
  }

  @Test(arguments: [true, false])
  func `accepting that is cancelled at random moments loses no connection`(onLoop: Bool) async throws {
    let count = 120
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let address = listener.address.plain
      let peers = Shared<[PlainSocket]>([])
      let thread = PlainThread {
        for _ in 0..<count {
          guard let peer = try? PlainSocket(connectingTo: address) else { return }
          peers.update { $0.append(peer) }
        }
      }
      let random = SplitMix(seed: 5)
      // It ends a hang, and bounds nothing: hundreds of tasks wait for their turn in Swift's pool.
      let seen = try await loop.withTimeout(.seconds(200)) {
        var seen: Set<SocketAddress?> = []
        var round = UInt64(0)
        while seen.count < count {
          let before = listener.statistics.accepted
          let tasks = (0..<3).map { _ in
            onLoop ? loop.task { _ in try await listener.accept() } : Task { try await listener.accept() }
          }
          // Every fourth time somebody gets one; there is one left to get.
          while random[round] % 4 == 0 && listener.statistics.accepted == before {
            try Task.checkCancellation()
            await Task.yield()
          }
          for _ in 0..<random[round] % 16 { await Task.yield() }
          for task in tasks { task.cancel() }
          for task in tasks {
            do { seen.insert(try await task.value.peerAddress) } catch is CancellationError {}
          }
          round += 1
        }
        return seen
      }
      try await thread.join()
      #expect(seen == Set(peers.value.map(\.ownAddress)))
    }
  }

  @Test func `an accept in a cancelled task takes no connection`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      let task = loop.task { _ in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        return try await listener.accept()
      }
      try await expectCancelled { _ = try await task.value }
      #expect(try await listener.accept().peerAddress == peer.ownAddress)
    }
  }

  @Test func `a listener is a sequence of connections that ends when it is closed`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let peers = try (0..<3).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      var addresses: [SocketAddress?] = []
      for try await stream in listener {
        addresses.append(stream.peerAddress)
        if addresses.count == 3 { listener.close() }
      }
      #expect(addresses == peers.map(\.ownAddress))
      for try await _ in listener { Issue.record("a connection of a listener that is closed") }
    }
  }

  @Test func `the statistics count what was accepted and what is open`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      #expect(listener.statistics == Listener.Statistics(accepted: 0, open: 0, failed: 0, backOffs: 0))
      let peers = try (0..<3).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      let first = try await listener.accept()
      #expect(listener.statistics.accepted == 1)
      #expect(listener.statistics.open == 0)
      first.close()

      let server = Task { try await listener.serve { _, stream in _ = try await stream.readAll(limit: 1) } }
      await expectEventually { listener.statistics.open == 2 }
      #expect(listener.statistics == Listener.Statistics(accepted: 3, open: 2, failed: 0, backOffs: 0))
      for peer in peers { peer.close() }
      await expectEventually { listener.statistics.open == 0 }
      #expect(listener.statistics.accepted == 3)
      listener.close()
      try await server.value
    }
  }

  @Test func `L-19 a keep-alive delay of zero is refused wherever it is asked for`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      var options = TCPListener.Options()
      options.stream.keepAlive = .zero
      try await expectCode(.invalidArgument) { _ = try await loop.listen(on: .loopback(port: 0), options: options) }
      try await expectCode(.invalidArgument) {
        _ = try await loop.connect(to: .address(listener.address), options: options.stream)
      }
      let stream = try await loop.connect(to: .address(listener.address))
      try expectCode(.invalidArgument) { try stream.setKeepAlive(.zero, isolation: loop) }
      try stream.setKeepAlive(.milliseconds(1))
      #expect(listener.statistics.accepted == 0)
    }
  }
}

/// Waits until all tasks that were started here or on the loop, and accept, wait for a connection.
func waitForAcceptors<Stream>(at listener: Listener<Stream>, on loop: isolated EventLoop) async throws {
  try await loop.withTimeout(.seconds(20)) {
    // What was started before the first of them, or behind it, runs in this iteration or the next.
    repeat { try await loop.sleep(for: .zero) } while !listener.inner.isAwaited
    try await loop.sleep(for: .zero)
  }
}

/// A task of nobody's that begins on the calling thread, and goes on in Swift's pool.
private func acceptOnTheSpot(_ listener: Listener<TCPStream>) -> Task<SocketAddress?, any Error> {
  Task.immediate { try await listener.accept().peerAddress }
}
