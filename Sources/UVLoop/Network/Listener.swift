/// Takes connections.
///
/// ```swift
/// let listener = try await loop.listen(on: .tcp("0.0.0.0", 7000))
/// try await listener.serve { loop, stream in
///   for try await bytes in stream { try await stream.write(bytes) }
/// }
/// ```
///
/// Connections are accepted while somebody asks for them, in ``serve(limit:closeTimeout:onFailure:_:)`` or in
/// ``accept()``. Others wait in the kernel's queue, which is ``Options/backlog`` long.
///
/// When the process, or the system, has no descriptor left, accepting stops: for 10 ms first, and longer each time, up
/// to a second, but goes on at once when a stream of the loop closes. Whoever connects meanwhile waits in the queue.
/// The errors of a connection that was lost before it was accepted are counted and end nothing.
///
/// > Isolation: Any thread may use it.
///
/// > Ownership: Dropping the last reference closes it. Streams that it has given are their owner's.
public final class Listener<Stream: ByteStream>: @unchecked Sendable, CustomStringConvertible {
  // Holds because all that it has is one constant.
  let inner: any ConnectionSource

  init(_ inner: any ConnectionSource) { self.inner = inner }

  deinit { inner.close() }

  /// Takes over a socket that listens already: one from another loop, another process, or C.
  ///
  /// The file of a Unix socket stays when the listener closes: somebody else has made it.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for a socket that does not listen, or is of another kind than the
  ///   listener's streams; ``UVError/Code/badFileDescriptor``; ``UVError/Code/notOnLoop``;
  ///   ``UVError/Code/loopClosed``.
  ///
  /// > Ownership: The descriptor is the listener's from now on; where this throws it has been closed.
  public convenience init(
    adopting descriptor: consuming OwnedDescriptor, options: Options = .init(),
    isolation: isolated any LoopActor = #isolation
  ) throws(UVError) {
    let core = try isolation.currentCore(for: "Listener.init")
    try options.validate()
    let socket = try ListeningSocket(adopting: descriptor, isUnix: ListeningSocket.isUnix(Stream.self))
    self.init(try ListenerCore([socket], on: core, options.stream))
  }

  /// Where it listens, with the port that the system has chosen. Of one that listens on several addresses, the first.
  public var address: SocketAddress { inner.address }

  /// How many connections there have been, and are.
  ///
  /// > Isolation: Ask from anywhere.
  public var statistics: Statistics { inner.totals }

  /// Whether it has been closed, by ``close()``, ``drain(within:)``, ``detach()`` or the loop's shutdown, which closes
  /// it first of all.
  ///
  /// > Isolation: Ask from anywhere.
  public var isClosed: Bool { inner.isClosed }

  /// Waits for the next connection.
  ///
  /// Several tasks may wait at once: the first to come is the first to be served.
  ///
  /// - Returns: The stream, which is the caller's to close.
  /// - Throws: ``UVError/Code/busy`` while ``serve(limit:closeTimeout:onFailure:_:)`` runs;
  ///   ``UVError/Code/handleClosed`` when the listener is closed, or has been; ``UVError/Code/loopClosed``;
  ///   `CancellationError`; the system's code where the listening socket itself fails.
  ///
  /// > Isolation: Call it anywhere. The stream belongs to the listener's loop.
  ///
  /// > Cancellation: Ends the wait. No connection is lost.
  ///
  /// > libuv: Not `uv_listen` and `uv_accept`: those cannot be left while the process has no descriptor.
  public nonisolated(nonsending) func accept() async throws -> Stream {
    // Holds because a listener makes streams of the kind that its type says.
    unsafe unsafeDowncast(try await inner.accept(), to: Stream.self)
  }

  /// Ends accepting, and frees the address. Connections that were accepted stay open; those that wait in the kernel's
  /// queue are reset, but for those at a socket that a service manager has passed, which wait on.
  ///
  /// Tasks in ``accept()`` get ``UVError/Code/handleClosed``; ``serve(limit:closeTimeout:onFailure:_:)`` returns when
  /// the connections that it has open have ended. The file of a Unix socket is removed, unless something else stands in
  /// its place. Twice is once.
  ///
  /// > Isolation: Call it on any thread.
  public func close() {
    inner.requireOwnProcess()
    inner.close()
  }

  /// Address, loop and state in one line.
  public var description: String {
    "Listener on \(address) of \(inner.owner)\(isClosed ? ", closed" : "")"
  }
}

/// A listener for TCP.
public typealias TCPListener = Listener<TCPStream>

/// A listener for Unix sockets.
public typealias PipeListener = Listener<PipeStream>

extension Listener: AsyncSequence {
  /// A connection.
  public typealias Element = Stream

  /// Gives connections; see ``Listener/accept()``.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let listener: Listener

    /// The next connection; nil when the listener has been closed.
    ///
    /// - Throws: As ``Listener/accept()`` does.
    public mutating func next() async throws -> Stream? { try await next(isolation: nil) }

    /// The next connection, in the isolation of the caller; nil when the listener has been closed.
    ///
    /// - Throws: As ``Listener/accept()`` does.
    public mutating func next(isolation: isolated (any Actor)?) async throws -> Stream? {
      do {
        return try await listener.accept()
      } catch let error as UVError where error.code == .handleClosed {
        return nil
      }
    }
  }

  /// The connections, until the listener is closed.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(listener: self) }
}
