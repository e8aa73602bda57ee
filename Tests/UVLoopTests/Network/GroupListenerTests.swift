import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

private typealias Distribution = EventLoopGroup.Distribution

/// Listening on the loops of a group with one listener.
@Suite(.sideBySide) struct GroupListenerTests {
  @Test func `L-82 400 connections on four loops are 100 each, and the loop whose connections end gets the next`()
    async throws
  {
    try await withTestGroup { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      let peers = try await servedPeers(400, at: listener.address)
      #expect(counts(of: peers) == [100, 100, 100, 100])
      #expect(listener.statistics == .init(accepted: 400, open: 400, failed: 0, backOffs: 0))

      for peer in peers where peer.loop == 2 { peer.socket.close() }
      await expectEventually { listener.statistics.open == 300 }
      let next = try await servedPeers(100, at: listener.address)
      #expect(counts(of: next) == [0, 0, 100, 0])
      for peer in peers + next { peer.socket.close() }
      listener.close()
      try await server.value
      #expect(listener.statistics == .init(accepted: 500, open: 0, failed: 0, backOffs: 0))
    }
  }

  @Test func `L-82 connections that come at the same time are spread as evenly`() async throws {
    try await withTestGroup { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let address = listener.address.plain
      let sockets = try await onPlainThread { try (0..<200).map { _ in try PlainSocket(connectingTo: address) } }
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      let peers = try await onPlainThread {
        try sockets.map { ServedPeer(socket: $0, loop: Int(try $0.receive(exactly: 1)[0])) }
      }
      #expect(counts(of: peers) == [50, 50, 50, 50])
      for peer in peers { peer.socket.close() }
      listener.close()
      try await server.value
    }
  }

  @Test func `L-82 two listeners of a group count together, and so do streams that accept has given`() async throws {
    try await withTestGroup(count: 2) { group in
      let first = try await group.listen(on: .loopback(port: 0))
      let second = try await group.listen(on: .loopback(port: 0))
      let peers = try (0..<3).map { _ in try PlainSocket(connectingTo: first.address.plain) }
      var streams: [TCPStream] = []
      for _ in peers { streams.append(try await first.accept()) }
      let crowded = streams[0].inner.loop
      #expect(streams[2].inner.loop === crowded && streams[1].inner.loop !== crowded)
      // One has two now, and the other one.
      let more = try PlainSocket(connectingTo: second.address.plain)
      streams.append(try await second.accept())
      #expect(streams[3].inner.loop === streams[1].inner.loop)
      // A stream that has left its loop is not its any more.
      let number = try await streams[0].detach().release()
      streams[2].close()
      await group.settle()
      for _ in 0..<2 {
        _ = try PlainSocket(connectingTo: second.address.plain)
        let stream = try await second.accept()
        #expect(stream.inner.loop === crowded)
        streams.append(stream)
      }
      Posix.close(number)
      _ = consume more
      first.close()
      second.close()
    }
  }

  @Test func `a hand-over to a loop that sleeps is one wake, and one to a loop that is awake none`() async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      let warm = try await servedPeers(2, at: listener.address)
      await expectEventually { group.loops.allSatisfy(\.probe.isAsleep) }
      var peers: [ServedPeer] = []
      let traffic = try await group.loops[1].probe.traffic { peers = try await servedPeers(2, at: listener.address) }
      #expect(traffic.posts == 1)
      #expect(traffic.wakes == 1)
      for peer in warm + peers { peer.socket.close() }
      listener.close()
      try await server.value
    }
  }

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `L-01 25 clients send and receive 256 KiB each over the loops of a group, intact`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let server = Task {
        try await listener.serve { _, stream in for try await bytes in stream { try await stream.write(bytes) } }
      }
      let address = listener.address.plain
      try await withThrowingTaskGroup { tasks in
        for client in 0..<25 {
          tasks.addTask {
            let pattern = Pattern(seed: UInt64(client))
            let difference = try await onPlainThread(within: .seconds(60)) {
              let echo = try PlainSocket(connectingTo: address).exchange(pattern.bytes(count: 1 << 18))
              return (echo.count, pattern.firstDifference(in: echo))
            }
            #expect(difference == (1 << 18, nil))
          }
        }
        try await tasks.waitForAll()
      }
      #expect(listener.statistics.accepted == 25)
      await listener.drain(within: .seconds(20))
      try await server.value
    }
  }

  @Test func `a handler may have a timer of the loop that it is given`() async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task {
        try await listener.serve { loop, stream in
          let beat = try TimerHandle()
          defer { beat.close() }
          try beat.start(after: .milliseconds(1), repeating: .milliseconds(1)) { _ = try? stream.enqueue([1]) }
          for try await _ in stream {}
        }
      }
      let peers = try (0..<4).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      for peer in peers {
        #expect(try await onPlainThread { try peer.receive(exactly: 3) } == [1, 1, 1])
        peer.close()
      }
      await expectEventually { listener.statistics.open == 0 }
      listener.close()
      try await server.value
    }
  }

  @Test func `with reusePort each loop has a socket at one port, and keeps what comes there`() async throws {
    try await withTestGroup { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: .reusePort)
      let port = try #require(listener.address.port)
      #expect(port > 0)
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      for loop in group.loops {
        let own = try await loop.run { _ in try listener.withUnsafeDescriptor { ListeningSocket.localAddress(of: $0) } }
        #expect(own?.port == port)
      }
      let peers = try await servedPeers(100, at: listener.address)
      // By chance: that one of four has none of a hundred is less likely than a broken machine.
      #expect(counts(of: peers).allSatisfy { $0 > 0 })
      let group = try #require(listener.inner as? GroupListener)
      #expect(counts(of: peers) == group.parts.map(\.totals.accepted))
      for peer in peers { peer.socket.close() }
      listener.close()
      try await server.value
    }
  }

  @Test func `a Unix socket is listened at by one loop for all, and refused with reusePort`() async throws {
    try await withTestGroup(count: 2) { group in
      try await withSocketPath { path in
        try await expectCode(.notSupported) {
          _ = try await group.listen(on: .unix(path), distribution: .reusePort)
        }
        let any = try AnyEndpoint.text("unix:\(path)")
        try await expectCode(.notSupported) { _ = try await group.listen(on: any, distribution: .reusePort) }
        let listener = try await group.listen(on: .unix(path))
        let server = Task { try await listener.serve(sayLoop(of: group)) }
        let peers = try await onPlainThread {
          try (0..<4).map { _ in
            let socket = try PlainSocket(connectingTo: .unix(path))
            return ServedPeer(socket: socket, loop: Int(try socket.receive(exactly: 1)[0]))
          }
        }
        #expect(counts(of: peers, loops: 2) == [2, 2])
        for peer in peers { peer.socket.close() }
        await listener.drain(within: .seconds(20))
        try await server.value
        #expect(unsafe access(path, F_OK) != 0)
      }
    }
  }

  // MARK: accept

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `accept gives streams of all loops, to tasks on any of them and elsewhere`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let address = listener.address.plain
      for round in 0..<12 {
        let accept =
          switch round % 3 {
          case 0: Task { try await listener.accept() }
          case 1: group.loops[0].task { _ in try await listener.accept() }
          default: group.loops[1].task { _ in try await listener.accept() }
          }
        await expectEventually { listener.inner.isAwaited }
        let peer = try await onPlainThread { try PlainSocket(connectingTo: address) }
        let stream = try await accept.value
        #expect(stream.peerAddress == peer.ownAddress)
        try await stream.write("hello")
        #expect(try await onPlainThread { try peer.receive(exactly: 5) } == Array("hello".utf8))
        stream.close()
      }
      #expect(listener.statistics == .init(accepted: 12, open: 0, failed: 0, backOffs: 0))
      listener.close()
      try await expectCode(.handleClosed) { _ = try await listener.accept() }
    }
  }

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `accept takes no more connections than are asked for`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let peers = try (0..<30).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      var streams: [TCPStream] = []
      for number in 1...10 {
        streams.append(try await listener.accept())
        await group.settle()
        #expect(listener.statistics.accepted == number)
      }
      let many = (0..<10).map { _ in Task { try await listener.accept() } }
      for task in many { streams.append(try await task.value) }
      await group.settle()
      #expect(listener.statistics.accepted == 20)
      for try await stream in listener {
        streams.append(stream)
        if streams.count == 30 { break }
      }
      #expect(Set(streams.map(\.peerAddress)) == Set(peers.map(\.ownAddress)))
      listener.close()
    }
  }

  @Test func `an accept that is cancelled takes nothing from the next one`() async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      for round in 0..<200 {
        let cancelled = Task { try await listener.accept() }
        if round % 2 == 0 { await expectEventually { listener.inner.isAwaited } }
        let peer = try PlainSocket(connectingTo: listener.address.plain)
        cancelled.cancel()
        let accepted = try? await cancelled.value
        let stream = if let accepted { accepted } else { try await listener.accept() }
        #expect(stream.peerAddress == peer.ownAddress)
        stream.close()
      }
      listener.close()
    }
  }

  @Test func `serve and accept at a listener of a group are busy beside each other`() async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let accept = Task { try await listener.accept() }
      await expectEventually { listener.inner.isAwaited }
      try await expectCode(.busy) { try await listener.serve { _, _ in } }
      try await expectCode(.busy) { _ = try await listener.detach() }
      accept.cancel()
      _ = await accept.result

      let server = Task { try await listener.serve(sayLoop(of: group)) }
      await expectEventually { listener.inner.isAwaited }
      try await expectCode(.busy) { try await listener.serve { _, _ in } }
      try await expectCode(.busy) { _ = try await listener.accept() }
      try await expectCode(.invalidArgument) { try await listener.serve(limit: 0) { _, _ in } }
      listener.close()
      try await server.value
      try await expectCode(.handleClosed) { try await listener.serve { _, _ in } }
    }
  }

  @Test func `an accept whose connection goes to a serve that has begun meanwhile is told that it is busy`()
    async throws
  {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let accept = Task { try await group.loops[1].run { _ in _ = try await listener.accept() } }
      await expectEventually { listener.inner.isAwaited }
      let gate = try await group.loops[1].block()
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      // It is called, and cannot come.
      await expectEventually { !listener.inner.isAwaited }
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      #expect(try await onPlainThread { try peer.receive(exactly: 1) } == [0])
      gate.signal()
      try await expectCode(.busy) { try await accept.value }
      peer.close()
      await listener.drain(within: .seconds(20))
      try await server.value
    }
  }

  // MARK: serve

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `L-65 the limit of serve counts the connections of all loops`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let server = Task { try await listener.serve(limit: 4, sayLoop(of: group)) }
      let peers = try (0..<40).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      let waiting = Shared(peers)
      // Whoever has been served goes, and the next one comes, whichever loop it was that has room.
      for served in 0..<40 {
        // The one that has gone counts until its loop has seen its end.
        await expectEventually {
          listener.statistics.open == min(4, 40 - served) && listener.statistics.accepted == min(served + 4, 40)
        }
        await group.settle()
        #expect(listener.statistics.open == min(4, 40 - served))
        #expect(listener.statistics.accepted == min(served + 4, 40))
        let heard = try await onPlainThread { try firstHeard(of: waiting.value) }
        waiting.update { $0.remove(at: heard).close() }
      }
      await listener.drain(within: .seconds(20))
      try await server.value
    }
  }

  @Test func `L-66 a handler that throws ends its connection alone, and onFailure hears of it on that loop`()
    async throws
  {
    struct Odd: Error {}
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let failures = Shared<[SocketAddress?]>([])
      let server = Task {
        try await listener.serve(onFailure: { peer, error in
          #expect(error is Odd && EventLoop.current != nil)
          failures.update { $0.append(peer) }
        }) { _, stream in
          if try await stream.read(exactly: 1) == [1] { throw Odd() }
          try await stream.write("fine")
        }
      }
      let peers = try (0..<6).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      let odd = [1, 3, 5].map { peers[$0].ownAddress }
      for (number, peer) in peers.enumerated() {
        try peer.sendAll([UInt8(number % 2)])
        let answer = try await onPlainThread { try peer.receiveAll() }
        #expect(answer == (number % 2 == 0 ? Array("fine".utf8) : []))
        peer.close()
      }
      listener.close()
      try await server.value
      #expect(Set(failures.value) == Set(odd))
    }
  }

  // MARK: Facts

  @Test func `a listener of a group describes itself, and is in the snapshot of each loop with its share`() async throws
  {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      let peers = try await servedPeers(3, at: listener.address)
      #expect(listener.description == "Listener on \(listener.address) of 2 loops")
      var open: [Int] = []
      for loop in group.loops {
        let snapshot = await loop.snapshot()
        #expect(snapshot.listeners.map(\.address) == ["\(listener.address)"])
        open += snapshot.listeners.map(\.statistics.open)
        #expect(snapshot.description.contains("\(listener.address), \(open.last ?? 0) open"))
      }
      #expect(open == [2, 1])
      for peer in peers { peer.socket.close() }
      listener.close()
      #expect(listener.description == "Listener on \(listener.address) of 2 loops, closed")
      try await server.value
      for loop in group.loops { #expect(await loop.snapshot().listeners.isEmpty) }
    }
  }

  @Test func `L-102 the descriptor is that of the loop on which it is asked for`() async throws {
    try await withTestGroup(count: 2) { group in
      let handed = try await group.listen(on: .loopback(port: 0))
      let shared = try await group.listen(on: .loopback(port: 0), distribution: .reusePort)
      var numbers: Set<Int32> = []
      for loop in group.loops {
        numbers.insert(
          try await loop.run { _ in
            try shared.withUnsafeDescriptor {
              #expect(Socket.set($0, SOL_SOCKET, SO_RCVLOWAT, 3) == 0)
              #expect(Socket.isListening($0))
              return $0
            }
          })
      }
      #expect(numbers.count == 2)
      try await group.loops[0].run { _ in try handed.withUnsafeDescriptor { #expect(Socket.isListening($0)) } }
      let error = await #expect(throws: UVError.self) {
        try await group.loops[1].run { _ in try handed.withUnsafeDescriptor { _ in } }
      }
      #expect(error?.code == .notOnLoop)
      #expect(error?.message.contains("\"test-1\"") == true)
      try await onTestLoop { other, _ in
        try expectCode(.notOnLoop) { try handed.withUnsafeDescriptor(isolation: other) { _ in } }
      }
    }
  }

  // MARK: Errors

  @Test func `a group of one loop listens like any`() async throws {
    for distribution in [Distribution.leastConnections, .reusePort] {
      try await withTestGroup(count: 1) { group in
        let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
        let server = Task { try await listener.serve(sayLoop(of: group)) }
        for peer in try await servedPeers(3, at: listener.address) { peer.socket.close() }
        listener.close()
        try await server.value
      }
    }
  }

  @Test func `an address that a listener of the group had can be listened at as soon as that is closed`() async throws {
    try await withTestGroup { group in
      var listener = try await group.listen(on: .loopback(port: 0))
      let address = listener.address
      for round in 0..<20 {
        let distribution: Distribution = round % 2 == 0 ? .reusePort : .leastConnections
        listener.close()
        var next: TCPListener?
        // A process that is just being started may have the socket still.
        await expectEventually {
          next = try? await group.listen(on: .address(address), distribution: distribution)
          return next != nil
        }
        listener = try #require(next)
      }
    }
  }
}

/// How many of the peers each loop has.
func counts(of peers: [ServedPeer], loops: Int = 4) -> [Int] {
  (0..<loops).map { index in peers.count { $0.loop == index } }
}

/// Which of the peers has heard something; it is taken from what has come.
private func firstHeard(of peers: [PlainSocket]) throws -> Int {
  var entries = peers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
  if unsafe poll(&entries, nfds_t(entries.count), plainLimit) <= 0 { throw PlainFailure("poll", errno: ETIMEDOUT) }
  return entries.firstIndex { $0.revents != 0 } ?? 0
}
