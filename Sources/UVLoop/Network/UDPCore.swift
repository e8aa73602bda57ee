import Synchronization

// Who owns what:
//   UDPSocket   the face, of which any thread may drop the last reference: then the socket closes
//   UDPCore     what the face has of the loop: its two sides, the handle, the end. Kept by the face, by the loop's list
//               of sockets until it has closed, and by whatever waits
//   UDPEngine   kept by the core, and by the loop until its memory is freed; it knows the receiver while that receives

/// A UDP socket on its loop. Belongs to the loop's thread, but for what is atomic.
@safe final class UDPCore: LoopMember, @unchecked Sendable {  // Holds because of the line above.
  let loop: LoopCore
  let engine: UDPEngine
  let receiver: UDPReceiver
  let sender: UDPSender
  let addresses: UDPAddresses
  /// Where it stands among the loop's sockets, which keep this number.
  var index = -1
  /// When it was made, in nanoseconds of the monotonic clock.
  let since = MonotonicClock.now()
  private let hasClosed = Atomic(false)
  /// The same, of what only the loop's thread sees: the handle is closed.
  private var isOver = false

  /// - Parameter transport: What sends its datagrams, where a test wants something else than the handle.
  init(_ engine: UDPEngine, _ options: UDPSocket.Options, sendingBy transport: (any DatagramTransport)? = nil) {
    self.engine = engine
    loop = engine.loop
    addresses = UDPAddresses(engine.localAddress)
    receiver = UDPReceiver(loop, engine, options)
    sender = UDPSender(loop, transport ?? engine)
    loop.network.sockets.add(self)
  }

  // MARK: - On any thread

  static func call(_ name: StaticString) -> String { "UDPSocket.\(name)" }

  var isClosed: Bool { hasClosed.load(ordering: .acquiring) || loop.life.state == .stopped }

  /// Runs a waiting call on the loop that was made elsewhere.
  @inline(never)
  func elsewhere<R: Sendable>(
    _ name: StaticString, _ body: @Sendable (isolated EventLoop) async throws -> R
  ) async throws -> R {
    try Task.checkCancellation()
    try loop.requireRunning(UDPCore.call(name))
    guard let owner = loop.owner else { throw loop.closedError(UDPCore.call(name)) }
    return try await owner.call(body)
  }

  /// Any number of times.
  func close() {
    if hasClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
    // On the loop without a closure, which would be a block of memory for each socket.
    if loop.isCurrent { return closeNow(.handleClosed) }
    loop.enqueue { self.closeNow(.handleClosed) }
  }

  /// Why a call fails on a socket that is closed.
  static func closedError(_ code: UVError.Code, _ loop: LoopCore, _ name: StaticString) -> UVError {
    if code == .loopClosed { return loop.closedError(call(name)) }
    return UVError(
      .handleClosed, call: call(name),
      "This UDPSocket of loop \"\(loop.name)\" has been closed. Bind a new one with `loop.bindUDP()`.")
  }

  // MARK: - On the loop: datagrams

  /// For what is done at once. The compiler has refused a call that is on no loop.
  func requireOpen(_ name: StaticString) throws(UVError) {
    try loop.requireOnLoop(UDPCore.call(name))
    if isClosed { throw UDPCore.closedError(.handleClosed, loop, name) }
  }

  @inline(__always)
  func receive() async throws -> Datagram {
    try await receiver.waitForDatagram("receive")
    return receiver.take()
  }

  @inline(__always)
  func lend() async throws -> LentDatagram {
    try await receiver.waitForDatagram("receive")
    return receiver.lend()
  }

  @inline(__always)
  func send(_ bytes: [UInt8], _ address: SocketAddress?) async throws {
    if let rest = try begin(bytes, address, "send") { try await rest.value(on: loop) }
  }

  /// Sends it if that can be done now. What is to be waited for then; nil if nothing is.
  @inline(never)
  private func begin(_ bytes: [UInt8], _ address: SocketAddress?, _ name: StaticString) throws -> UDPSend? {
    try WaitScope.checkCancellation()
    try requireOpen(name)
    try requireSendable(to: address, name)
    return try sender.begin(bytes, address, name)
  }

  func trySend(
    _ bytes: UnsafeRawBufferPointer, _ address: SocketAddress?, _ name: StaticString
  ) throws(UVError) -> Bool {
    try requireSendable(to: address, name)
    return try unsafe sender.trySend(bytes, address, name)
  }

  /// Refuses what libuv would refuse with less to say. What came back of an earlier datagram is told first, as the
  /// kernel tells it to the next call.
  private func requireSendable(to address: SocketAddress?, _ name: StaticString) throws(UVError) {
    if let address {
      if addresses.isConnected { throw UDPCore.connected(name) }
      try UDPCore.require(address, name)
    } else if !addresses.isConnected {
      throw UDPCore.addressMissing(name)
    }
    if let failure = receiver.takeFailure() { throw failure.named(UDPCore.call(name)) }
  }

  private static func connected(_ name: StaticString) -> UVError {
    UVError(
      .socketIsConnected, call: call(name),
      "This UDPSocket is connected, and sends to its peer alone. Leave out the address, or `connect(to: nil)` first.")
  }

  private static func addressMissing(_ name: StaticString) -> UVError {
    UVError(
      .addressRequired, call: call(name),
      "This UDPSocket is not connected, and has nobody to send to. Give an address, or connect it first.")
  }

  /// Refuses what is nobody's address.
  private static func require(_ address: SocketAddress, _ name: StaticString) throws(UVError) {
    if address.port ?? 0 > 0 { return }
    throw UVError(
      .invalidArgument, call: call(name),
      address.family == .unix
        ? "\(address) is the address of a Unix socket, and UDP is for IPv4 and IPv6."
        : "\(address) has port 0, at which nobody can be.")
  }

  // MARK: - On the loop: the peer

  func connect(to address: SocketAddress?) throws {
    try WaitScope.checkCancellation()
    try requireOpen("connect")
    if let address { try UDPCore.require(address, "connect") }
    if !sender.isIdle {
      throw UVError(
        .busy, call: UDPCore.call("connect"),
        "Datagrams wait to be sent, which would go to the new peer. Await those sends first.")
    }
    if address == nil && addresses.isConnected && !engine.canLetGo {
      throw UVError(
        .notSupported, call: UDPCore.call("connect"),
        "Linux goes on to drop what others than the old peer send to a socket of IPv6. Close it, and bind another one.")
    }
    defer { addresses.update(from: engine) }
    if addresses.isConnected {
      // What the system has chosen for the one peer need not be right for another one.
      try engine.disconnect()
      // What comes back of it is no news for the next one.
      _ = receiver.takeFailure()
    }
    if let address { try engine.connect(to: address) }
  }

  // MARK: - On the loop: the end

  private func closeNow(_ code: UVError.Code) {
    // The loop's shutdown may have come before a message from another thread.
    if isOver { return }
    isOver = true
    engine.close(by: code == .loopClosed ? .loop : .owner)
    loop.network.sockets.remove(self)
    sender.close(code)
    receiver.close(code)
  }

  /// The loop's shutdown closes what is left.
  func closeByLoop() {
    hasClosed.store(true, ordering: .releasing)
    closeNow(.loopClosed)
  }

  func releaseWaits() {
    receiver.releaseWaits()
    sender.releaseWaits()
  }
}

/// Where a socket is bound, and its peer. Written on the loop, read anywhere.
final class UDPAddresses: @unchecked Sendable {  // Holds because the lock guards both, and the third is atomic.
  private let lock = Lock()
  private var own: SocketAddress
  private var other: SocketAddress?
  /// For each datagram that is sent, without the lock.
  private let hasPeer = Atomic(false)

  init(_ local: SocketAddress) { own = local }

  // MARK: On any thread

  var local: SocketAddress { lock.withLock { own } }
  var peer: SocketAddress? { lock.withLock { other } }
  var isConnected: Bool { hasPeer.load(ordering: .relaxed) }

  /// `0.0.0.0:5000`, and behind ` > ` the peer, where there is one.
  var text: String { lock.withLock { other.map { "\(own) > \($0)" } ?? "\(own)" } }

  // MARK: On the loop

  /// As the system says.
  func update(from engine: UDPEngine) {
    let (local, peer) = (engine.localAddress, engine.peerAddress)
    lock.withLock {
      own = local
      other = peer
    }
    hasPeer.store(peer != nil, ordering: .relaxed)
  }
}
