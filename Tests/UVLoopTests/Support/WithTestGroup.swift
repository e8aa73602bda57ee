import Testing

@testable import UVLoop

/// A group for a test, held to what ``withTestLoop`` holds a loop to: each loop must have ended cleanly.
func withTestGroup<R>(
  count: Int = 4, time: EventLoop.Time = .real, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: (EventLoopGroup) async throws -> R
) async throws -> R {
  let group = try EventLoopGroup(count: count, .init(name: "test", time: time))
  var handles: [HandleCount] = []
  for loop in group.loops { handles.append(await loop.run { $0.probe.handles }) }
  let result: Result<R, any Error>
  do { result = .success(try await body(group)) } catch { result = .failure(error) }
  let reports = await group.shutdown(within: .seconds(20))
  for (report, handles) in zip(reports, handles) { expectClean(report, handles, sourceLocation) }
  for loop in group.loops { await expectThreadGone(loop.thread, sourceLocation) }
  return try result.get()
}

extension EventLoopGroup {
  /// Lets each loop run what it has been sent, and what that sends to others.
  func settle() async {
    for _ in 0..<3 { for loop in loops { await loop.run { _ in } } }
  }

  /// Lets the first one run what it has been sent, and what that sends to itself.
  func settleFirst() async { for _ in 0..<3 { await loops[0].run { _ in } } }

  /// How many tasks wait in `accept` at listeners of the group.
  var acceptors: Int {
    get async {
      var count = 0
      for loop in loops { count += await loop.snapshot().waitKinds["accept"] ?? 0 }
      return count
    }
  }

  /// Which one it is.
  func index(of loop: EventLoop) -> UInt8 { UInt8(loops.firstIndex { $0 === loop } ?? 255) }
}

extension EventLoop {
  /// Returns when the loop is blocked, which it is until the event is signalled.
  nonisolated func block() async throws -> Event {
    let (blocked, gate) = (Event("a blocked loop"), Event("its release"))
    try post { _ in
      blocked.signal()
      gate.waitBlocking()
    }
    try await blocked.wait()
    return gate
  }
}

/// A peer, and the loop that serves it.
struct ServedPeer: Sendable {
  let socket: PlainSocket
  let loop: Int
}

/// Serves with handlers that say which of the group's loops they are on, and then send back what comes.
func sayLoop(of group: EventLoopGroup) -> @Sendable (isolated EventLoop, ByteStream) async throws -> Void {
  { [loops = group.loops] loop, stream in
    #expect(loop.isCurrent)
    #expect(loop.probe.has(stream))
    try await stream.write([UInt8(loops.firstIndex { $0 === loop } ?? 255)])
    for try await bytes in stream { try await stream.write(bytes) }
  }
}

/// Peers that have heard on which loop they are, one after the other.
func servedPeers(_ count: Int, at address: SocketAddress) async throws -> [ServedPeer] {
  let address = address.plain
  return try await onPlainThread(within: .seconds(60)) {
    try (0..<count).map { _ in
      let socket = try PlainSocket(connectingTo: address)
      return ServedPeer(socket: socket, loop: Int(try socket.receive(exactly: 1).first ?? 255))
    }
  }
}

extension Listener {
  /// Whether serve has begun on each loop of a group.
  func isServed(on group: EventLoopGroup) async -> Bool {
    guard let parts = (inner as? GroupListener)?.parts else { return false }
    for (part, loop) in zip(parts, group.loops) {
      if await !loop.run({ _ in part.isAwaited }) { return false }
    }
    return true
  }
}
