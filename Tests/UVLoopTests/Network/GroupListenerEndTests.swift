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

/// How listening on a group ends, and what it leaves.
@Suite(.alone) struct GroupListenerEndTests {
  /// A peer that came while the listener was closing: what it got.
  private enum Fate: Hashable, Sendable {
    /// It was served, up to the end.
    case served
    /// It waited in the queue, or had not come so far. Linux resets it, and seldom ends it: of a program in C that
    /// counts what it accepts at three sockets of one port, and closes them among connections, six clients in 12,000
    /// closes (Linux 6.18) were ended without a byte, whom it had not accepted.
    case unaccepted
    case refused
  }

  /// Connects again and again until that is refused.
  private static func flood(_ address: PlainAddress) throws -> [Fate] {
    var fates: [Fate] = []
    while fates.last != .refused {
      do {
        let socket = try PlainSocket(connectingTo: address)
        // Linux forgets one whose handshake ends just when the socket is closed, and resets it only when it sends. A
        // connection that the library had, and forgot, would not be.
        var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        if unsafe poll(&entry, 1, 2_000) == 0 { try socket.sendAll([1]) }
        fates.append(try socket.receiveAll() == [7] ? .served : .unaccepted)
      } catch let failure as PlainFailure {
        fates.append(failure.errno == ECONNREFUSED ? .refused : .unaccepted)
      }
    }
    return fates
  }

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `L-83 a close while connections come in leaves nobody who was accepted without an answer`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    for round in 0..<20 {
      try await withTestGroup(count: 3) { group in
        let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
        let (served, failures) = (Shared(0), Shared<[String]>([]))
        let server = Task {
          try await listener.serve(onFailure: { _, error in failures.update { $0.append("\(error)") } }) { _, stream in
            served.update { $0 += 1 }
            try await stream.write([7])
          }
        }
        let address = listener.address.plain
        let floods = (0..<4).map { _ in Task { try await onPlainThread { try Self.flood(address) } } }
        await expectEventually { listener.statistics.accepted >= 20 + round * 3 }
        if round % 2 == 0 { await listener.drain(within: .seconds(20)) } else { listener.close() }
        try await server.value
        var fates: [Fate] = []
        for flood in floods { fates += try await flood.value }
        // Each one that was accepted was served, and no stream was wanting.
        #expect(fates.count { $0 == .served } == listener.statistics.accepted)
        #expect(served.value == listener.statistics.accepted)
        #expect(failures.value.isEmpty && listener.statistics.failed == 0)
        #expect(listener.statistics.open == 0)
      }
    }
  }

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `L-83 a close lets what is open on all loops end by itself`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      let peers = try await servedPeers(9, at: listener.address)
      listener.close()
      #expect(listener.isClosed)
      for (number, peer) in peers.enumerated() {
        #expect(try await onPlainThread { try peer.socket.exchange("still here") } == "still here")
        #expect(listener.statistics.open == 9 - number)
        peer.socket.close()
        await expectEventually { listener.statistics.open == 8 - number }
      }
      try await server.value
    }
  }

  @Test func `L-83 drain is one call for all loops: it cancels what is open after its limit, and not before`()
    async throws
  {
    // On times that only the test moves.
    try await withTestGroup(count: 3, time: .manual) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let ends = Shared(0)
      let server = Task {
        try await listener.serve { _, stream in
          try await stream.write([0])
          do { for try await _ in stream {} } catch let error as CancellationError {
            ends.update { $0 += 1 }
            throw error
          }
        }
      }
      let peers = try await servedPeers(6, at: listener.address)
      let draining = Task { await listener.drain(within: .seconds(10)) }
      await expectEventually {
        for loop in group.loops where await loop.run({ $0.probe.timers }) == 0 { return false }; return true
      }
      for loop in group.loops { try await loop.run { loop in try await loop.advance(by: .milliseconds(9_999)) } }
      #expect(ends.value == 0)
      for loop in group.loops { try await loop.run { loop in try await loop.advance(by: .milliseconds(1)) } }
      await draining.value
      try await server.value
      #expect(ends.value == 6)
      for peer in peers { #expect(try peer.socket.receiveAll() == []) }
      for loop in group.loops { #expect(await loop.run { $0.probe.timers } == 0) }
    }
  }

  @Test func `L-67 cancelling serve cancels the handlers on all loops, and the listener goes on`() async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      for _ in 0..<3 {
        let waiting = try PlainSocket(connectingTo: listener.address.plain)
        let server = Task { try await listener.serve(sayLoop(of: group)) }
        let peers = try await servedPeers(6, at: listener.address)
        server.cancel()
        try await expectCancelled { try await server.value }
        for peer in peers { #expect(try await onPlainThread { try peer.socket.receiveAll() } == []) }
        #expect(try await onPlainThread { try waiting.receiveAll() }.count == 1)
        #expect(listener.statistics.open == 0)
        #expect(!listener.isClosed)
      }
      listener.close()
    }
  }

  @Test func `who was handed over when serve was cancelled is the next one's`() async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task { try await listener.serve { _, _ in Issue.record("it was served") } }
      await expectEventually { await listener.isServed(on: group) }
      // The other loop has no time for what it is handed until the serving is over.
      let (blocked, gate) = (Event("a blocked loop"), Event("its release"))
      try group.loops[1].post {
        blocked.signal()
        gate.waitBlocking()
      }
      try group.loops[0].post {
        // Behind this come the readable socket and its two hand-overs, and not the cancellation of what waits.
        server.cancel()
      }
      try await blocked.wait()
      gate.signal()
      try await expectCancelled { try await server.value }
      let peers = try (0..<4).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      var streams: [TCPStream] = []
      for _ in peers { streams.append(try await listener.accept()) }
      #expect(Set(streams.map(\.peerAddress)) == Set(peers.map(\.ownAddress)))
      listener.close()
    }
  }

  @Test func `a serve that is cancelled at any moment loses nobody whom it had accepted`() async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let random = SplitMix(seed: 83)
      for round in 0..<UInt64(60) {
        let served = Shared<Set<SocketAddress?>>([])
        let server = Task {
          try await listener.serve { _, stream in _ = served.update { $0.insert(stream.peerAddress) } }
        }
        let peers = try (0..<8).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        for _ in 0..<random[round] % 64 { await Task.yield() }
        server.cancel()
        _ = await server.result
        var seen = served.value
        while seen.count < peers.count { seen.insert(try await listener.accept().peerAddress) }
        #expect(seen == Set(peers.map(\.ownAddress)))
      }
      listener.close()
    }
  }

  @Test func `a group's listener that is dropped closes`() async throws {
    try await withTestGroup(count: 2) { group in
      for distribution in [Distribution.leastConnections, .reusePort] {
        weak var remains: GroupListener?
        let address = try await {
          let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
          remains = listener.inner as? GroupListener
          return listener.address.plain
        }()
        await expectEventually {
          do { _ = try PlainSocket(connectingTo: address) } catch { return true }
          return false
        }
        await expectEventually { remains == nil }
      }
    }
  }

  @Test func `L-70 a socket that a group's listener gives away keeps its queue, and several are refused`() async throws
  {
    try await withTestGroup(count: 2) { group in
      let several = try await group.listen(on: .loopback(port: 0), distribution: .reusePort)
      try await expectCode(.notSupported) { _ = try await several.detach() }
      #expect(!several.isClosed)

      let listener = try await group.listen(on: .loopback(port: 0))
      let peers = try (0..<3).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      #expect(try await listener.accept().peerAddress == peers[0].ownAddress)
      let number = try await listener.detach().release()
      #expect(listener.isClosed)
      try await expectCode(.handleClosed) { _ = try await listener.accept() }
      let adopted = try await group.loops[1].run { _ in try TCPListener(adopting: OwnedDescriptor(owning: number)) }
      for peer in peers.dropFirst() { #expect(try await adopted.accept().peerAddress == peer.ownAddress) }
    }
  }

  @Test func `a group's listener may be detached as soon as it listens`() async throws {
    try await withTestGroup(count: 2) { group in
      for _ in 0..<20 {
        let listener = try await group.listen(on: .loopback(port: 0))
        let socket = try await listener.detach()
        #expect(listener.isClosed)
        _ = consume socket
      }
    }
  }

  @Test func `L-67 a cancelled serve of a group that waits for its handlers leaves others in the kernel's queue`()
    async throws
  {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let (begun, gate) = (Event("a handler"), Event("its release"))
      let server = Task {
        try await listener.serve { loop, _ in
          begun.signal()
          // It does not look at its cancellation.
          await Task { try? await gate.wait() }.value
        }
      }
      let first = try PlainSocket(connectingTo: listener.address.plain)
      try await begun.wait()
      server.cancel()
      let second = try PlainSocket(connectingTo: listener.address.plain)
      await group.settle()
      #expect(listener.statistics.accepted == 1)
      gate.signal()
      await #expect(throws: CancellationError.self) { try await server.value }
      #expect(try await onPlainThread { try first.receiveAll() } == [])
      #expect(try await listener.accept().peerAddress == second.ownAddress)
    }
  }

  @Test func `L-70 a group's listener that serves gives its socket away, and serves what it has`() async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      let served = try await servedPeers(3, at: listener.address)
      let number = try await listener.detach().release()
      #expect(listener.isClosed)
      let waiting = try PlainSocket(connectingTo: listener.address.plain)
      for peer in served {
        #expect(try await onPlainThread { try peer.socket.exchange("still here") } == "still here")
        peer.socket.close()
      }
      try await server.value
      let adopted = try await group.loops[1].run { _ in try TCPListener(adopting: OwnedDescriptor(owning: number)) }
      #expect(try await adopted.accept().peerAddress == waiting.ownAddress)
    }
  }

  // MARK: - Failures

  @Test func `a port that is taken is refused, and the sockets that were opened before are closed`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await withTestGroup { group in
        let first = try await group.listen(on: .loopback(port: 0), distribution: .reusePort)
        let port = try #require(first.address.port)
        first.close()
        await group.settle()
        let before = Process.descriptors
        let other = try PlainListener(on: .ipv4(port: port))
        for distribution in [Distribution.leastConnections, .reusePort] {
          let error = await #expect(throws: UVError.self) {
            _ = try await group.listen(on: .loopback(port: port), distribution: distribution)
          }
          #expect(error?.code == .addressInUse && error?.call == "EventLoopGroup.listen")
        }
        other.close()
        #expect(Process.descriptors == before)
        // Two sockets can be had, and not the third.
        let limit = ProcessLimit.descriptors
        limit.leave(2)
        try await expectCode(.tooManyOpenFiles) {
          _ = try await group.listen(on: .loopback(port: port), distribution: .reusePort)
        }
        limit.restore()
        #expect(Process.descriptors == before)
        _ = try await group.listen(on: .loopback(port: port), distribution: .reusePort)
      }
    }
  }

  #if os(Linux)
    @Test(arguments: [Distribution.leastConnections, .reusePort])
    func `a failure of a listening socket ends serve on all loops when what is open has ended`(
      _ distribution: EventLoopGroup.Distribution
    ) async throws {
      try await withTestGroup(count: 2) { group in
        let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
        let server = Task { try await listener.serve(sayLoop(of: group)) }
        let peers = try await servedPeers(4, at: listener.address)
        // Linux: a listening socket stops to be one.
        try await group.loops[0].run { _ in try listener.withUnsafeDescriptor { _ = shutdown($0, Int32(SHUT_RD)) } }
        await expectEventually { listener.isClosed }
        for peer in peers {
          #expect(try await onPlainThread { try peer.socket.exchange("still here") } == "still here")
          peer.socket.close()
        }
        try await expectCode(.invalidArgument) { try await server.value }
      }
    }
  #endif

  @Test func `L-63 a connection of which its loop can make no stream is counted, and ends nothing`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await withTestGroup(count: 2) { group in
        let listener = try await group.listen(on: .loopback(port: 0))
        let first = try PlainSocket(connectingTo: listener.address.plain)
        let stream = try await listener.accept()
        #expect(group.loops[0].probe.has(stream))

        // libuv refuses a number that it watches already. This one is closed behind its back: the next accept gets it.
        let lost = try PlainSocket(connectingTo: listener.address.plain)
        let pair = SocketPair()
        // No smaller number is free.
        var fillers: [Int32] = []
        repeat { fillers.append(Posix.openNull()) } while fillers.last ?? .max < pair.watched
        let (watched, seen) = (Event("a watched number"), Event("the end of it"))
        let watching = group.loops[1].task { loop in
          let poll = try PollHandle(descriptor: pair.watched)
          try poll.start(for: .readable) { _ in }
          try await iterate(loop)
          watched.signal()
          try await seen.wait()
          poll.close()
        }
        try await watched.wait()
        pair.closeFirst()
        let accept = Task { try await listener.accept() }
        #expect(try await onPlainThread { try lost.receiveAll() } == [])
        // It is counted when it has been closed.
        await expectEventually { listener.statistics == .init(accepted: 1, open: 0, failed: 1, backOffs: 0) }
        seen.signal()
        try await watching.value

        let next = try PlainSocket(connectingTo: listener.address.plain)
        #expect(try await accept.value.peerAddress == next.ownAddress)
        first.close()
        listener.close()
        for filler in fillers { Posix.close(filler) }
      }
    }
  }

  @Test func `L-60 out of descriptors the loop that accepts goes on as soon as a stream of another one closes`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      // Their time stands still: no pause ends by itself.
      try await withTestGroup(count: 2, time: .manual) { group in
        let listener = try await group.listen(on: .loopback(port: 0))
        let peers = try (0..<3).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        let (first, second) = (try await listener.accept(), try await listener.accept())
        #expect(group.loops[1].probe.has(second))
        let peer = try await group.loops[0].run { loop in
          let limit = ProcessLimit.descriptors
          limit.leave(0)
          defer { limit.restore() }
          let accept = loop.task { _ in try await listener.accept() }
          while listener.statistics.backOffs == 0 { try await iterate(loop) }
          second.close()
          return try await accept.value.peerAddress
        }
        #expect(peer == peers[2].ownAddress)
        first.close()
        listener.close()
      }
    }
  }

  // MARK: - Leaks

  @Test(arguments: [true, false])
  func `thousands of connections with random ends, closes and shutdowns leave no descriptor`(isShared: Bool) async {
    await #expect(processExitsWith: .success) { [isShared] in
      try await warmUpProcess()
      let distribution = isShared ? Distribution.reusePort : .leastConnections
      let random = SplitMix(seed: 84)
      try await round(0, random, distribution)
      let before = Process.descriptors
      for number in 1..<UInt64(25) { try await round(number, random, distribution) }
      await expectEventually { Process.descriptors.isSubset(of: before) }
    }
  }
}

/// A group that serves 120 peers, some of which go at once, and ends in one of several ways at some moment.
private func round(_ number: UInt64, _ random: SplitMix, _ distribution: EventLoopGroup.Distribution) async throws {
  try await withTestGroup(count: 3) { group in
    let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
    let address = listener.address.plain
    let server = Task {
      try await listener.serve(limit: number % 3 == 0 ? 10 : .max) { loop, stream in
        let choice = random[number &* 1_000 &+ UInt64(stream.peerAddress?.port ?? 0)] % 4
        if choice == 0 { return }
        if choice == 1 { stream.reset() }
        if choice == 2 { try await loop.sleep(for: .milliseconds(1)) }
        for try await bytes in stream { try await stream.write(bytes) }
      }
    }
    let clients = (0..<3).map { client in
      Task {
        try await onPlainThread {
          for turn in 0..<40 {
            let choice = random[number &* 7_919 &+ UInt64(client * 40 + turn)] % 4
            guard let peer = try? PlainSocket(connectingTo: address) else { return }
            if choice == 0 { peer.reset() }
            if choice == 1 { _ = try? peer.sendNow([1]) }
            if choice == 2 {
              _ = try? peer.shutdownWriting()
              _ = try? peer.receiveAll()
            }
          }
        }
      }
    }
    for _ in 0..<random[number] % 2_000 { await Task.yield() }
    switch number % 4 {
    case 0: listener.close()
    case 1: await group.loops[Int(number % 3)].shutdown()
    case 2:
      server.cancel()
      _ = await server.result
      listener.close()
    default: await group.shutdown()
    }
    for client in clients { try await client.value }
    await listener.drain(within: .zero)
    _ = await server.result
  }
}
