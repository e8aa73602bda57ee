/// A UDP socket: sends datagrams, and receives them.
///
/// ```swift
/// let socket = try await loop.bindUDP(to: .any(port: 7000))
/// for try await datagram in socket {
///   try await socket.send(datagram.bytes, to: datagram.peerAddress)
/// }
/// ```
///
/// A datagram arrives whole or not at all, perhaps twice, and not always in order. One is at most 65,507 bytes long
/// over IPv4, and beyond some 1,400 bytes it travels in pieces, of which none may be lost.
///
/// **Receiving.** It begins with the first `receive`. From then on datagrams are taken from the kernel while nobody
/// waits too, until ``Options/capacity`` of them are held here. Others wait in the kernel, which drops those for which
/// it has no room. One task at a time receives: a second one throws ``UVError/Code/busy``, and the first does not
/// notice.
///
/// **Sending.** A `send` returns when the kernel has taken the datagram, which says nothing about its arrival. Any
/// number of tasks may send. Where the kernel has no room, their calls queue, first in, first out.
///
/// **One peer.** ``connect(to:)`` makes a socket one for a single peer: it sends there without an address, receives
/// from there alone, and learns that nobody listens there, as an error of the next call.
///
/// > Isolation: Any thread may use it. What waits may be called anywhere: on the socket's loop it costs no hop,
/// elsewhere it begins with a message to the loop and ends with a hop back. What does not wait and can fail runs on the
/// loop only, and compiles nowhere else; on another loop it throws ``UVError/Code/notOnLoop``. ``close()`` and what is
/// only looked at work on any thread.
///
/// > Cancellation: Ends a wait at once with a `CancellationError`. No datagram is lost by it.
///
/// > Ownership: The socket owns its descriptor. To drop the last reference is to ``close()`` it, on whatever thread.
///
/// > libuv: `uv_udp_t`.
public final class UDPSocket: @unchecked Sendable, CustomStringConvertible {
  // Holds because all that it has is one constant.
  let inner: UDPCore

  init(_ inner: UDPCore) { self.inner = inner }

  deinit { inner.close() }

  // MARK: - Receiving

  /// Waits for the next datagram.
  ///
  /// - Returns: Its bytes in an array of their own, and who sent it. An empty datagram is one without bytes.
  /// - Throws: ``UVError/Code/busy`` while another task receives; on a connected socket
  ///   ``UVError/Code/connectionRefused`` and other codes of the system, when an earlier datagram has come back, once,
  ///   after which you may go on; ``UVError/Code/handleClosed`` when the socket is closed here, or was;
  ///   ``UVError/Code/loopClosed`` when the loop shuts down, or has; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait. No datagram is lost. In a task that is cancelled already it throws even if one is
  /// there, and that stays.
  ///
  /// > libuv: `uv_udp_recv_start`, which stays in force between two calls.
  public nonisolated(nonsending) func receive() async throws -> Datagram {
    if inner.loop.isAtHome { return try await inner.receive() }
    return try await inner.elsewhere("receive") { [inner] _ in try await inner.receive() }
  }

  /// Waits for the next datagram, and lends it to `body` without a copy.
  ///
  /// `body` runs in the caller's isolation, once, as soon as a datagram is there. That counts as received, also if
  /// `body` throws. A call from elsewhere than the loop copies it once.
  ///
  /// - Parameter body: Gets the bytes, which may be none, and cannot keep the span; who sent them; and whether the
  ///   datagram was larger than ``Options/maximumSize``, so that its rest is lost.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws, and what ``receive()`` throws.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: As for ``receive()``. Once `body` runs nothing interrupts it.
  ///
  /// > Ownership: The bytes lie in a block that the whole loop shares, and are valid until `body` returns.
  ///
  /// > libuv: `uv_udp_recv_start`.
  @inlinable
  public nonisolated(nonsending) func receive<R, E: Error>(
    _ body: (RawSpan, SocketAddress, _ isTruncated: Bool) throws(E) -> R
  ) async throws -> R {
    // Here only what depends on the types of the caller: a generic function of another module is not made for them.
    let lent = try await lend()
    return try lent.bytes.use { (bytes) throws(E) -> R in try body(bytes, lent.peerAddress, lent.isTruncated) }
  }

  /// The next datagram, which is used before the next `await`.
  @usableFromInline
  nonisolated(nonsending) func lend() async throws -> LentDatagram {
    if inner.loop.isAtHome { return try await inner.lend() }
    return LentDatagram(try await inner.elsewhere("receive") { [inner] _ in try await inner.receive() })
  }

  // MARK: - Sending

  /// Sends a datagram, and returns when the kernel has taken it.
  ///
  /// Most are taken at once. Where the kernel has no room the call waits.
  ///
  /// - Parameters:
  ///   - bytes: The whole datagram; an empty array is an empty datagram.
  ///   - address: Where to; nil on a connected socket, and only there.
  /// - Throws: ``UVError/Code/messageTooLong`` for more than a datagram can have; ``UVError/Code/socketIsConnected``
  ///   for an address on a connected socket; ``UVError/Code/addressRequired`` for none on another;
  ///   ``UVError/Code/permissionDenied`` for a broadcast address without ``Options/broadcast``;
  ///   ``UVError/Code/networkUnreachable``; ``UVError/Code/invalidArgument`` for the address of a Unix socket, and for
  ///   port 0; ``UVError/Code/addressFamilyNotSupported`` for IPv6 on a socket of IPv4; on a connected socket
  ///   ``UVError/Code/connectionRefused`` when an earlier datagram has come back, once, and then this one is not sent;
  ///   other codes of the system; ``UVError/Code/handleClosed`` when the socket is closed here, or was;
  ///   ``UVError/Code/loopClosed`` when the loop shuts down, or has; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait. A datagram that waits behind others is not sent then; the one that libuv has goes
  /// out, although the call throws.
  ///
  /// > libuv: `uv_udp_try_send`, and `uv_udp_send` where the kernel has no room.
  public nonisolated(nonsending) func send(_ bytes: [UInt8], to address: SocketAddress? = nil) async throws {
    if inner.loop.isCurrent { return try await inner.send(bytes, address) }
    try await inner.elsewhere("send") { [inner] _ in try await inner.send(bytes, address) }
  }

  /// Sends a datagram if the kernel takes it at once.
  ///
  /// - Returns: False, and nothing is sent, while there is no room, and while others wait to send.
  /// - Throws: As ``send(_:to:)`` does, but for `CancellationError`; ``UVError/Code/notOnLoop``.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > Cancellation: Does not look at it.
  ///
  /// > libuv: `uv_udp_try_send`.
  public func trySend(
    _ bytes: RawSpan, to address: SocketAddress? = nil, isolation: isolated any LoopActor = #isolation
  ) throws(UVError) -> Bool {
    try inner.requireOpen("trySend")
    return try unsafe bytes.withUnsafeBytes { (bytes) throws(UVError) -> Bool in
      try unsafe inner.trySend(bytes, address, "trySend")
    }
  }

  // MARK: - The peer

  /// Makes it a socket for one peer, for another one, or with nil for any again.
  ///
  /// Nothing is sent, and nobody is asked: whether there is anybody, the answers say. Datagrams that came before, from
  /// others, are received still. Connected to another peer, the system chooses anew from which address it sends. If
  /// that fails, it has no peer; on Linux a socket of IPv6 goes on to hear that one alone, and is best closed.
  ///
  /// - Throws: ``UVError/Code/networkUnreachable`` where there is no way to it; ``UVError/Code/permissionDenied`` for a
  ///   broadcast address without ``Options/broadcast``; ``UVError/Code/invalidArgument`` for the address of a Unix
  ///   socket, and for port 0; ``UVError/Code/addressFamilyNotSupported`` for IPv6 on a socket of IPv4;
  ///   ``UVError/Code/busy`` while a datagram waits to be sent, which might go to the new peer;
  ///   ``UVError/Code/notSupported`` for nil on a connected socket of IPv6 on Linux, which would not hear others again;
  ///   ``UVError/Code/addressInUse`` if somebody else has taken the port in the moment in which Linux lets go of it, on
  ///   a change of the peer of a socket that was bound to port 0; other codes of the system;
  ///   ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: It does not wait for anything. In a task that is cancelled already nothing happens.
  ///
  /// > libuv: `uv_udp_connect`.
  public nonisolated(nonsending) func connect(to address: SocketAddress?) async throws {
    if inner.loop.isCurrent { return try inner.connect(to: address) }
    try await inner.elsewhere("connect") { [inner] _ in try inner.connect(to: address) }
  }

  // MARK: - The end

  /// Closes at once. Every call that waits throws ``UVError/Code/handleClosed``; of the datagrams that wait to be sent
  /// none is sent any more, and those that nobody has received are dropped.
  ///
  /// Twice is once, and after the loop's shutdown it does nothing.
  ///
  /// > Isolation: Call it on any thread. Elsewhere than on the loop it sends a message, and does not wait.
  ///
  /// > libuv: `uv_close`.
  public func close() {
    inner.loop.requireOwnProcess()
    inner.close()
  }

  /// Whether it was closed, by ``close()`` or by the loop's shutdown. Errors do not close a socket.
  ///
  /// > Isolation: Ask from anywhere.
  public var isClosed: Bool { inner.isClosed }

  // MARK: - Facts

  /// Where it is bound, with the port that the system has chosen. While it is connected, the address from which it
  /// sends.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: `uv_udp_getsockname`.
  public var localAddress: SocketAddress { inner.addresses.local }

  /// The peer to which it is connected; nil for none.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: `uv_udp_getpeername`.
  public var peerAddress: SocketAddress? { inner.addresses.peer }

  /// How many bytes wait in ``send(_:to:)`` for the kernel to take them.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: In place of `uv_udp_get_send_queue_size`, which sees one datagram at most.
  public var queuedBytes: Int { inner.sender.queuedBytes }

  /// Lends the socket's descriptor, for options that have no name here, such as `SO_RCVBUF`.
  ///
  /// - Throws: What `body` throws; ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``;
  ///   ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > Ownership: It stays the socket's. Do not close it, do not connect it, and do not receive from it.
  ///
  /// > libuv: `uv_fileno`.
  public func withUnsafeDescriptor<R>(
    isolation: isolated any LoopActor = #isolation, _ body: (Int32) throws -> R
  ) throws -> R {
    try inner.requireOpen("withUnsafeDescriptor")
    return try body(inner.engine.descriptor)
  }

  /// Its addresses and its loop, in one line.
  ///
  /// > Isolation: Ask from anywhere.
  public var description: String {
    "UDPSocket \(inner.addresses.text) on loop \"\(inner.loop.name)\"\(isClosed ? ", closed" : "")"
  }
}

extension UDPSocket: AsyncSequence {
  /// A datagram.
  public typealias Element = Datagram

  /// Gives the datagrams of a socket as they come.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let socket: UDPSocket

    /// The next datagram; nil when the socket is closed here, or was.
    ///
    /// - Throws: As ``UDPSocket/receive()`` does, but for ``UVError/Code/handleClosed``. A cancellation throws.
    public mutating func next() async throws -> Datagram? { try await next(isolation: nil) }

    /// The next datagram, in the isolation of the caller; nil when the socket is closed here, or was.
    ///
    /// - Throws: As ``UDPSocket/receive()`` does, but for ``UVError/Code/handleClosed``. A cancellation throws.
    public mutating func next(isolation: isolated (any Actor)?) async throws -> Datagram? {
      do {
        return try await socket.receive()
      } catch let error as UVError where error.code == .handleClosed {
        return nil
      }
    }
  }

  /// The datagrams as they come, until the socket is closed.
  ///
  /// Making an iterator receives nothing: leave the loop, and go on receiving in another way.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(socket: self) }
}
