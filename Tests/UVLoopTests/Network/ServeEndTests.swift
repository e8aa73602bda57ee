import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How serving ends: by close, drain, cancellation, a failure, and the loop's shutdown.
@Suite(.alone) struct ServeEndTests {
  /// A server that echoes, and says how its handlers have ended.
  private final class Server: Sendable {
    let listener: TCPListener
    let ends = Shared<[String]>([])

    init(on loop: EventLoop) async throws { listener = try await loop.listen(on: .loopback(port: 0)) }

    func run(closeTimeout: Duration = .seconds(2)) async throws {
      try await listener.serve(closeTimeout: closeTimeout) { [ends] _, stream in
        do {
          for try await bytes in stream { try await stream.write(bytes) }
          ends.update { $0.append("end") }
        } catch is CancellationError {
          ends.update { $0.append("cancelled") }
          throw CancellationError()
        } catch let error as UVError {
          ends.update { $0.append(error.code == .loopClosed ? "loopClosed" : "\(error)") }
          throw error
        }
      }
    }

    /// Peers that have been heard by their handlers.
    func peers(_ count: Int) async throws -> [PlainSocket] {
      let address = listener.address.plain
      return try await onPlainThread {
        try (0..<count).map { _ in
          let peer = try PlainSocket(connectingTo: address)
          #expect(try peer.exchange("hello") == "hello")
          return peer
        }
      }
    }
  }

  @Test func `L-67 close lets what is open end by itself, and serve returns then`() async throws {
    try await withTestLoop { loop, _ in
      let server = try await Server(on: loop)
      let serving = Task { try await server.run() }
      let peers = try await server.peers(3)
      server.listener.close()
      for (number, peer) in peers.enumerated() {
        #expect(server.listener.statistics.open == 3 - number)
        #expect(try await onPlainThread { try peer.exchange("still here") } == "still here")
        peer.close()
        await expectEventually { server.listener.statistics.open == 2 - number }
      }
      try await serving.value
      #expect(server.ends.value == ["end", "end", "end"])
    }
  }

  @Test func `L-67 close with nothing open ends serve at once`() async throws {
    try await withTestLoop { loop, _ in
      let server = try await Server(on: loop)
      let serving = Task { try await server.run() }
      try await loop.run { loop in try await waitForAcceptors(at: server.listener, on: loop) }
      server.listener.close()
      try await serving.value
    }
  }

  @Test func `L-67 close while all places are taken ends serve when those have ended`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let serving = Task { try await listener.serve(limit: 2) { _, stream in for try await _ in stream {} } }
      let peers = try (0..<3).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      await expectEventually { listener.statistics.open == 2 }
      listener.close()
      // The third one was never accepted.
      await #expect(throws: PlainFailure("recv", errno: ECONNRESET)) {
        try await onPlainThread { _ = try peers[2].receiveAll() }
      }
      for peer in peers { peer.close() }
      try await serving.value
      #expect(listener.statistics.accepted == 2)
    }
  }

  // On a time that only the test moves, so that nothing is late.

  @Test func `L-67 drain cancels what is open after its limit, and not before`() async throws {
    try await onTestLoop(time: .manual) { loop, _ in
      let server = try await Server(on: loop)
      let serving = loop.task { _ in try await server.run() }
      let peers = try await server.peers(2)
      let draining = loop.task { _ in await server.listener.drain(within: .seconds(10)) }
      try await loop.advance(by: .milliseconds(9_999))
      #expect(server.listener.isClosed)
      #expect(server.ends.value == [])
      #expect(try await onPlainThread { try peers[0].exchange("still") } == "still")
      try await loop.advance(by: .milliseconds(1))
      await draining.value
      try await serving.value
      #expect(server.ends.value == ["cancelled", "cancelled"])
      for peer in peers { #expect(try peer.receiveAll() == []) }
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `L-67 drain returns when the last one has ended`() async throws {
    try await onTestLoop(time: .manual) { loop, _ in
      let server = try await Server(on: loop)
      let serving = loop.task { _ in try await server.run() }
      let peers = try await server.peers(2)
      let drains = (0..<3).map { _ in loop.task { _ in await server.listener.drain(within: .seconds(10)) } }
      try await iterate(loop)
      for peer in peers { peer.close() }
      for drain in drains { await drain.value }
      try await serving.value
      #expect(server.ends.value == ["end", "end"])
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `L-67 drain returns half a second after its limit, whatever the handlers do`() async throws {
    try await onTestLoop(time: .manual) { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let (begun, gate) = (Event("a handler"), Event("the release of a handler"))
      let serving = loop.task { _ in
        try await listener.serve { _, _ in
          begun.signal()
          try await gate.wait()
        }
      }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      try await begun.wait()
      let drained = Shared(false)
      let draining = loop.task { _ in
        await listener.drain(within: .zero)
        drained.value = true
      }
      try await loop.advance(by: .milliseconds(499))
      #expect(!drained.value)
      try await loop.advance(by: .milliseconds(1))
      await draining.value
      #expect(listener.statistics.open == 1)
      gate.signal()
      try await serving.value
      #expect(try peer.receiveAll() == [])
    }
  }

  @Test func `a drain that is cancelled returns, and the listener is closed all the same`() async throws {
    try await onTestLoop { loop, _ in
      let server = try await Server(on: loop)
      let serving = loop.task { _ in try await server.run() }
      let peers = try await server.peers(1)
      let draining = loop.task { _ in await server.listener.drain(within: .seconds(1_000)) }
      try await iterate(loop)
      draining.cancel()
      await draining.value
      #expect(server.listener.isClosed)
      #expect(server.ends.value == [])
      #expect(loop.probe.timers == 0)
      peers[0].close()
      try await serving.value
      // Nobody is left to wait for.
      await server.listener.drain(within: .seconds(1_000))
    }
  }

  @Test(arguments: [true, false])
  func `L-67 cancelling serve cancels its handlers at once, and closes their connections`(onLoop: Bool) async throws {
    try await withTestLoop { loop, _ in
      let server = try await Server(on: loop)
      let serving = onLoop ? loop.task { _ in try await server.run() } : Task { try await server.run() }
      let peers = try await server.peers(3)
      serving.cancel()
      try await expectCancelled { try await serving.value }
      #expect(server.ends.value == ["cancelled", "cancelled", "cancelled"])
      for peer in peers { #expect(try await onPlainThread { try peer.receiveAll() } == []) }
      #expect(!server.listener.isClosed)
    }
  }

  @Test func `a shutdown ends serve and its handlers as it ends the task that called it`() async throws {
    for onLoop in [true, false] {
      try await withTestLoop { loop, _ in
        let server = try await Server(on: loop)
        let serving = onLoop ? loop.task { _ in try await server.run() } : Task { try await server.run() }
        let peers = try await server.peers(2)
        // Both handlers wait for more.
        await expectEventually { loop.probe.isAsleep }
        await loop.shutdown()
        if onLoop {
          try await expectCancelled { try await serving.value }
          #expect(server.ends.value == ["cancelled", "cancelled"])
        } else {
          try await expectCode(.loopClosed) { try await serving.value }
          #expect(server.ends.value == ["loopClosed", "loopClosed"])
        }
        for peer in peers { #expect(try await onPlainThread { try peer.receiveAll() } == []) }
      }
    }
  }

  @Test func `a shutdown ends the handlers of a listener that was closed before`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let isServed = Event("the connection is served")
      let never = Shared<AsyncStream<Void>.Continuation?>(nil)
      let serving = Task {
        try await listener.serve { _, _ in
          isServed.signal()
          // Nothing comes: it ends by a cancellation alone.
          for await _ in AsyncStream<Void>(Void.self, { never.value = $0 }) {}
        }
      }
      let client = try PlainSocket(connectingTo: .ipv4(port: listener.address.port ?? 0))
      try await isServed.wait()
      listener.close()
      let report = await loop.shutdown()
      #expect(report.unfinished.isEmpty)
      try await expectCode(.loopClosed) { try await serving.value }
      #expect(try await onPlainThread { try client.receiveAll() }.isEmpty)
    }
  }

  @Test func `a shutdown ends a drain, and serve that waits for a place`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let serving = Task { try await listener.serve(limit: 1) { _, stream in for try await _ in stream {} } }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      await expectEventually { listener.statistics.open == 1 }
      let draining = Task { await listener.drain(within: .seconds(1_000)) }
      await expectEventually { await loop.run { $0.probe.timers } == 1 }
      await loop.shutdown()
      await draining.value
      try await expectCode(.loopClosed) { try await serving.value }
      #expect(try await onPlainThread { try peer.receiveAll() } == [])
    }
  }

  @Test func `a shutdown ends a connection that waits for the end of its peer`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let serving = Task { try await listener.serve(closeTimeout: .seconds(1_000)) { _, _ in } }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      // The handler has returned, and the peer has not closed.
      #expect(try await onPlainThread { try peer.receiveAll() } == [])
      #expect(listener.statistics.open == 1)
      await loop.shutdown()
      try await expectCode(.loopClosed) { try await serving.value }
      #expect(listener.statistics.open == 0)
    }
  }

  @Test(arguments: [true, false])
  func `a graceful close ends when somebody else closes the stream, and with the loop`(isShutdown: Bool) async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      let stream = try await listener.accept()
      let closing = Task { await stream.closeGracefully(within: .seconds(1_000)) }
      // The peer sees the end, and does not end its own side.
      #expect(try await onPlainThread { try peer.receiveAll() } == [])
      if isShutdown { await loop.shutdown() } else { stream.close() }
      await closing.value
      #expect(stream.isClosed)
    }
  }

  @Test func `onFailure may close the listener that it hears of`() async throws {
    struct Last: Error {}
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let serving = Task {
        try await listener.serve(onFailure: { _, _ in listener.close() }) { _, _ in throw Last() }
      }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      try await serving.value
      #expect(try await onPlainThread { try peer.receiveAll() } == [])
    }
  }

  #if os(Linux)
    @Test func `a failure of the listening socket itself ends serve when what is open has ended`() async throws {
      try await withTestLoop { loop, _ in
        let server = try await Server(on: loop)
        let serving = Task { try await server.run() }
        let peers = try await server.peers(2)
        // Linux: a listening socket stops to be one.
        try await loop.run { [listener = server.listener] _ in
          try listener.withUnsafeDescriptor { _ = shutdown($0, Int32(SHUT_RD)) }
        }
        await expectEventually { server.listener.isClosed }
        for peer in peers {
          #expect(try await onPlainThread { try peer.exchange("still here") } == "still here")
          peer.close()
        }
        try await expectCode(.invalidArgument) { try await serving.value }
        #expect(server.ends.value == ["end", "end"])
      }
    }
  #endif
}
