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

/// What becomes of a group's listener when loops of the group end.
@Suite(.alone) struct GroupListenerShutdownTests {
  @Test(arguments: [Distribution.leastConnections, .reusePort], [0, 1, 2])
  func `L-84 a loop that is shut down ends its connections with loopClosed, and the others go on and get the new ones`(
    _ distribution: EventLoopGroup.Distribution, _ gone: Int
  ) async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let errors = Shared<[UVError.Code]>([])
      let say = sayLoop(of: group)
      let server = Task {
        try await listener.serve { loop, stream in
          do { try await say(loop, stream) } catch let error as UVError {
            errors.update { $0.append(error.code) }
            throw error
          }
        }
      }
      let peers = try await servedPeers(30, at: listener.address)
      let own = peers.count { $0.loop == gone }
      await group.loops[gone].shutdown()
      for peer in peers {
        if peer.loop == gone {
          #expect(try await onPlainThread { try peer.socket.receiveAll() } == [])
        } else {
          #expect(try await onPlainThread { try peer.socket.exchange("still here") } == "still here")
        }
      }
      #expect(errors.value == Array(repeating: .loopClosed, count: own))
      #expect(!listener.isClosed)
      await expectEventually { listener.statistics.open == 30 - own }

      let next = try await servedPeers(30, at: listener.address)
      #expect(!next.contains { $0.loop == gone })
      if distribution == .leastConnections {
        #expect(
          Set(counts(of: peers + next, loops: 3).enumerated().filter { $0.offset != gone }.map(\.element)) == [25])
      }
      for peer in peers + next { peer.socket.close() }
      await listener.drain(within: .seconds(20))
      try await server.value
    }
  }

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `L-84 who waits in the queue of a loop that is shut down is another one's`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let peers = try (0..<30).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      await group.loops[0].shutdown()
      await group.loops[1].shutdown()
      var streams: [TCPStream] = []
      for _ in peers { streams.append(try await listener.accept()) }
      #expect(Set(streams.map(\.peerAddress)) == Set(peers.map(\.ownAddress)))
      #expect(streams.allSatisfy { group.loops[2].probe.has($0) })
      listener.close()
    }
  }

  @Test func `L-84 a loop that is told to end while it takes what another one leaves loses nothing of it`() async throws
  {
    for round in 0..<200 {
      try await withTestGroup(count: 3) { group in
        let listener = try await group.listen(on: .loopback(port: 0))
        // One waits in the socket's queue, and one is on its way to each loop.
        let first = Task { try await listener.accept() }
        await expectEventually { listener.inner.isAwaited }
        let ending = Task.detached {
          group.loops[0].requestShutdown(within: nil)
          // From before the sockets are there until long after.
          spin(for: .microseconds(round % 50))
          group.loops[1].requestShutdown(within: nil)
        }
        let peers = try (0..<2).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        await ending.value
        let streams = [try await first.value, try await listener.accept()]
        #expect(Set(streams.map(\.peerAddress)) == Set(peers.map(\.ownAddress)))
        #expect(!listener.isClosed)
        listener.close()
      }
    }
  }

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `L-84 accept goes on when the loop ends at which it waits, and ends with the caller's own`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    try await withTestGroup(count: 3) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let elsewhere = Task { try await listener.accept() }
      let inside = group.loops[0].task { _ in _ = try await listener.accept() }
      let visiting = Task { try await group.loops[0].run { _ in _ = try await listener.accept() } }
      await expectEventually { await group.acceptors == 3 }
      await group.loops[0].shutdown()
      try await expectCancelled { try await inside.value }
      try await expectCode(.loopClosed) { try await visiting.value }
      await expectEventually { listener.inner.isAwaited }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      #expect(try await elsewhere.value.peerAddress == peer.ownAddress)
      listener.close()
    }
  }

  @Test(arguments: [Distribution.leastConnections, .reusePort])
  func `L-84 when all loops have ended the listener is closed, and its calls end with loopClosed`(
    _ distribution: EventLoopGroup.Distribution
  ) async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let idle = try await group.listen(on: .loopback(port: 0), distribution: distribution)
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      let accept = Task { _ = try await idle.accept() }
      let peers = try await servedPeers(4, at: listener.address)
      await expectEventually { idle.inner.isAwaited }
      await group.shutdown()
      try await expectCode(.loopClosed) { try await server.value }
      try await expectCode(.loopClosed) { try await accept.value }
      for peer in peers { #expect(try await onPlainThread { try peer.socket.receiveAll() } == []) }
      for listener in [listener, idle] {
        #expect(listener.isClosed)
        #expect(throws: PlainFailure("connect", errno: ECONNREFUSED)) {
          _ = try PlainSocket(connectingTo: listener.address.plain)
        }
        try await expectCode(.loopClosed) { _ = try await listener.accept() }
        try await expectCode(.loopClosed) { try await listener.serve { _, _ in } }
        try await expectCode(.loopClosed) { _ = try await listener.detach() }
        listener.close()
        await listener.drain(within: .seconds(1_000))
      }
      try await expectCode(.loopClosed) { _ = try await group.listen(on: .loopback(port: 0)) }
    }
  }

  /// - Parameter isTaken: Whether the loop has taken what it was handed out of its inbox when it is told to end.
  @Test(arguments: [false, true], [false, true])
  func `L-84 a connection that is handed to a loop which ends goes to another, also while the listener closes`(
    isClosing: Bool, isTaken: Bool
  ) async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      await expectEventually { await listener.isServed(on: group) }
      let gate = try await group.loops[1].block()
      let (blockedAgain, secondGate) = (Event("a loop that is blocked again"), Event("its release"))
      if isTaken {
        try group.loops[1].post {
          blockedAgain.signal()
          secondGate.waitBlocking()
        }
      }
      let peers = try (0..<10).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      // Half of them are in its inbox, and the others are served.
      await expectEventually { group.loops[1].probe.untakenPosts >= 5 && listener.statistics.open == 5 }
      if isTaken {
        await expectEventually { group.loops[1].probe.untakenPosts >= 6 }
        gate.signal()
        try await blockedAgain.wait()
      }
      let ending = Task { await group.loops[1].shutdown() }
      await expectEventually { group.loops[1].state == .stopping }
      if isClosing {
        listener.close()
        // Its socket is closed now, and the other loop's part would end if nothing was on its way.
        await group.settleFirst()
      }
      (isTaken ? secondGate : gate).signal()
      for peer in peers { #expect(try await onPlainThread { try peer.receive(exactly: 1) } == [0]) }
      _ = await ending.value
      for peer in peers { peer.close() }
      await listener.drain(within: .seconds(20))
      try await server.value
      #expect(listener.statistics.accepted == 10)
    }
  }

  @Test func `L-84 what no handler has yet goes to another loop, though its own had made a stream of it`() async throws
  {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task { try await listener.serve(sayLoop(of: group)) }
      await expectEventually { await listener.isServed(on: group) }
      let gate = try await group.loops[1].block()
      let peers = try (0..<10).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      await expectEventually { group.loops[1].probe.untakenPosts >= 5 && listener.statistics.open == 5 }
      // Behind the connections, so that they are streams by then. A handler can have begun with the first alone.
      try group.loops[1].post { group.loops[1].requestShutdown(within: nil) }
      gate.signal()
      var elsewhere = 0
      for peer in peers { if (try? await onPlainThread({ try peer.receive(upTo: 1) })) == [0] { elsewhere += 1 } }
      #expect(elsewhere >= 9)
      for peer in peers { peer.close() }
      await listener.drain(within: .seconds(20))
      try await server.value
    }
  }

  @Test func `L-65 places of a loop that is shut down are free for the others`() async throws {
    try await withTestGroup(count: 2) { group in
      let listener = try await group.listen(on: .loopback(port: 0))
      let server = Task { try await listener.serve(limit: 2, sayLoop(of: group)) }
      let peers = try await servedPeers(2, at: listener.address)
      #expect(peers.map(\.loop) == [0, 1])
      let waiting = try PlainSocket(connectingTo: listener.address.plain)
      await group.settle()
      #expect(listener.statistics.accepted == 2)
      await group.loops[1].shutdown()
      #expect(try await onPlainThread { try waiting.receive(exactly: 1) } == [0])
      for peer in peers { peer.socket.close() }
      waiting.close()
      await listener.drain(within: .seconds(20))
      try await server.value
    }
  }
}
