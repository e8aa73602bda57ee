/// A connection over a Unix socket, or a pipe.
///
/// From ``EventLoop/connect(to:timeout:options:)``, a ``Listener`` or ``EventLoop/makePipe(options:)``.
///
/// > libuv: `uv_pipe_t`.
public final class PipeStream: ByteStream, @unchecked Sendable {  // Holds as for every stream.
  /// The process at the other end of a Unix socket, as the kernel knows it.
  public struct Credentials: Hashable, Sendable {
    /// Its process identifier, when it connected or began to listen.
    public let process: Int32
    /// Its effective user.
    public let user: UInt32
    /// Its effective group.
    public let group: UInt32
  }

  /// Who has the other end; nil for what is no Unix socket.
  ///
  /// The kernel has noted it when the socket was connected: the process may have ended since, and its number may be
  /// another's. `SO_PEERCRED`.
  ///
  /// > Isolation: Ask from anywhere.
  public let peerCredentials: Credentials?

  init(_ engine: PipeEngine, _ options: Options, _ addresses: StreamAddresses) {
    let found = engine.descriptor.flatMap { Socket.peerCredentials(of: $0) }
    peerCredentials = found.map { Credentials(process: $0.process, user: $0.user, group: $0.group) }
    super.init(
      StreamCore("PipeStream", over: engine, on: engine.loop, options, addresses, passing: engine as? PassingEngine))
  }

  /// Takes over a connected Unix socket, or one end of a pipe: from another loop, another process, or C.
  ///
  /// Of a pipe's end only one direction works.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for a socket that is not connected, or of another kind;
  ///   ``UVError/Code/badFileDescriptor``; ``UVError/Code/fileExists`` while this loop watches the descriptor already;
  ///   ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On a loop only; nothing else compiles.
  ///
  /// > Ownership: The descriptor is the stream's from now on; where this throws it has been closed.
  ///
  /// > libuv: `uv_pipe_open`.
  public convenience init(
    adopting descriptor: consuming OwnedDescriptor, options: Options = .init(),
    isolation: isolated any LoopActor = #isolation
  ) throws(UVError) {
    let core = try isolation.currentCore(for: "PipeStream.init")
    try options.validate("PipeStream.init")
    try StreamEngine.requireConnected(descriptor.rawValue, isUnix: true, "PipeStream.init")
    let addresses = StreamAddresses(of: descriptor.rawValue)
    let engine = try PipeEngine.make(descriptor.release(), on: core, options, isAdopted: true)
    try engine.applyOrClose(options)
    self.init(engine, options, addresses)
  }
}

extension EventLoop {
  /// Two streams that are connected to each other: for a test, or to give one to somebody else with `detach`.
  ///
  /// - Throws: ``UVError/Code/tooManyOpenFiles``; ``UVError/Code/loopClosed``; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > libuv: `uv_pipe_open` of what `socketpair` makes.
  public nonisolated(nonsending) func makePipe(
    options: ByteStream.Options = .init()
  ) async throws -> (PipeStream, PipeStream) {
    try Task.checkCancellation()
    try requireRunning("EventLoop.makePipe")
    try options.validate("EventLoop.makePipe")
    return try await call { loop in try loop.pair(options) }
  }

  private func pair(_ options: ByteStream.Options) throws(UVError) -> (PipeStream, PipeStream) {
    try requireOnLoop("EventLoop.makePipe")
    let pair = Socket.pair()
    try check(pair.status, "EventLoop.makePipe")
    let first: PipeStream
    do throws(UVError) {
      first = try PipeStream(adopting: OwnedDescriptor(owning: pair.first), options: options)
    } catch {
      Posix.close(pair.second)
      throw error
    }
    return (first, try PipeStream(adopting: OwnedDescriptor(owning: pair.second), options: options))
  }
}
