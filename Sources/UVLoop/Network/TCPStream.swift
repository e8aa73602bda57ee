/// A TCP connection.
///
/// From ``EventLoop/connect(to:timeout:options:)`` or a ``Listener``.
///
/// > libuv: `uv_tcp_t`.
public final class TCPStream: ByteStream, @unchecked Sendable {  // Holds as for every stream.
  private let engine: TCPEngine

  init(_ engine: TCPEngine, _ options: Options, _ addresses: StreamAddresses) {
    self.engine = engine
    super.init(StreamCore("TCPStream", over: engine, on: engine.loop, options, addresses))
  }

  /// Takes over a connected TCP socket: one from another loop, another process, or C.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for anything but a connected stream socket of TCP;
  ///   ``UVError/Code/badFileDescriptor``; ``UVError/Code/fileExists`` while this loop watches the descriptor already;
  ///   ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On a loop only; nothing else compiles.
  ///
  /// > Ownership: The descriptor is the stream's from now on; where this throws it has been closed.
  ///
  /// > libuv: `uv_tcp_open`.
  public convenience init(
    adopting descriptor: consuming OwnedDescriptor, options: Options = .init(),
    isolation: isolated any LoopActor = #isolation
  ) throws(UVError) {
    let core = try isolation.currentCore(for: "TCPStream.init")
    try options.validate("TCPStream.init")
    try StreamEngine.requireConnected(descriptor.rawValue, isUnix: false, "TCPStream.init")
    let addresses = StreamAddresses(of: descriptor.rawValue)
    let engine = try TCPEngine(descriptor.release(), on: core, isAdopted: true)
    try engine.applyOrClose(options)
    self.init(engine, options, addresses)
  }

  /// Sends small writes at once, or waits for more to send with them.
  ///
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``; the system's
  ///   code.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_tcp_nodelay`.
  public func setNoDelay(_ on: Bool, isolation: isolated any LoopActor = #isolation) throws(UVError) {
    try inner.requireOpen("setNoDelay")
    try engine.setNoDelay(on)
  }

  /// Asks a peer from which nothing has come for so long whether it is still there, or never.
  ///
  /// - Parameters:
  ///   - delay: Rounded up to whole seconds, at least one; nil for never.
  ///   - isolation: The loop's own isolation; leave it out.
  /// - Throws: ``UVError/Code/invalidArgument`` for zero and less, and for more than 32,767 seconds;
  ///   ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``; the system's code.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_tcp_keepalive`.
  public func setKeepAlive(
    _ delay: Duration?, isolation: isolated any LoopActor = #isolation
  ) throws(UVError) {
    try inner.requireOpen("setKeepAlive")
    try engine.setKeepAlive(delay)
  }
}
