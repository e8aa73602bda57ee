extension Listener {
  /// Serves each connection in a child task of its own, until the listener is closed.
  ///
  /// ```swift
  /// try await listener.serve { loop, stream in
  ///   while let line = try await stream.readLine() { try await stream.write(line + "\n") }
  /// }
  /// ```
  ///
  /// `body` runs on the listener's loop, of a group's listener on the one that it is handed, and a handle that it makes
  /// belongs there. What ends a connection depends on how `body` ends: where it returns,
  /// ``ByteStream/closeGracefully(within:)`` sees to it that the peer gets all that was written; where it throws, or
  /// was cancelled, the stream is closed at once, and reset if bytes were left unread. No connection ends another one,
  /// or the server.
  ///
  /// After ``close()``, or ``drain(within:)``, it waits for the connections that are open and returns.
  ///
  /// - Parameters:
  ///   - limit: How many connections may be open at once. Others wait in the kernel's queue.
  ///   - closeTimeout: How long a peer may take to end its side when `body` has returned.
  ///   - onFailure: Gets what `body` throws, but for a `CancellationError`, with the peer's address; and what goes
  ///     wrong with a connection before it reaches `body`, without an address where it was lost before it could be
  ///     accepted. It runs on the loop, inline.
  ///   - body: One connection.
  /// - Throws: ``UVError/Code/busy`` if it runs at this listener already; ``UVError/Code/invalidArgument`` for a limit
  ///   below 1; `CancellationError`; ``UVError/Code/loopClosed`` when the loop shuts down;
  ///   ``UVError/Code/handleClosed`` if the listener was closed before; the system's code where the listening socket
  ///   itself fails.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Cancels the connections' tasks and waits for them. The listener stays open, and what it had
  /// accepted just then goes to who accepts next.
  public nonisolated(nonsending) func serve(
    limit: Int = .max, closeTimeout: Duration = .seconds(2),
    onFailure: (@Sendable (SocketAddress?, any Error) -> Void)? = nil,
    _ body: @Sendable @escaping (isolated EventLoop, Stream) async throws -> Void
  ) async throws {
    if limit < 1 {
      throw UVError(
        .invalidArgument, call: "Listener.serve", "A limit of \(limit) connections lets nobody in. Give at least 1.")
    }
    try Task.checkCancellation()
    try await inner.serve(limit, closeTimeout, onFailure) { loop, stream in
      // Holds because a listener makes streams of the kind that its type says.
      try await body(loop, unsafe unsafeDowncast(stream, to: Stream.self))
    }
  }

  /// Ends accepting, waits for what ``serve(limit:closeTimeout:onFailure:_:)`` has open, and cancels that when `limit`
  /// is over.
  ///
  /// Handlers that were cancelled have half a second to end: it returns by then whatever they do, and `serve` itself
  /// goes on to wait for them.
  ///
  /// - Parameter limit: Zero and less cancels at once; the largest `Duration` never.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Ends the wait. The listener is closed all the same.
  public nonisolated(nonsending) func drain(within limit: Duration) async {
    close()
    await inner.drained(within: limit)
  }

  /// Ends accepting without closing the socket, and hands it out. Who connects meanwhile waits in its queue.
  ///
  /// ``serve(limit:closeTimeout:onFailure:_:)`` returns when the connections that it has open have ended, as it does
  /// after a ``close()``.
  ///
  /// - Throws: ``UVError/Code/busy`` while somebody waits in ``accept()``, and while nobody has taken what was accepted
  ///   when `serve` was cancelled; ``UVError/Code/notSupported`` where it listens on several addresses;
  ///   ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Ownership: The descriptor is the caller's. The file of a Unix socket stays. One that a service manager has
  /// passed is free to be listened on again.
  public nonisolated(nonsending) func detach() async throws -> OwnedDescriptor {
    try await inner.detach()
  }

  /// Lends the socket's descriptor, for options that have no name here. Of several sockets it is the first; of a
  /// group's listener it is that of the loop on which it is called, if that loop accepts.
  ///
  /// - Throws: What `body` throws; ``UVError/Code/notOnLoop``; ``UVError/Code/handleClosed``;
  ///   ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On the loop only; nothing else compiles.
  ///
  /// > Ownership: It stays the listener's. Do not close it.
  public func withUnsafeDescriptor<R>(
    isolation: isolated any LoopActor = #isolation, _ body: (Int32) throws -> R
  ) throws -> R {
    try body(try inner.descriptor("Listener.withUnsafeDescriptor"))
  }
}

extension ListenerCore {
  func serve(
    _ limit: Int, _ closeTimeout: Duration, _ onFailure: (@Sendable (SocketAddress?, any Error) -> Void)?,
    _ body: @Sendable @escaping (isolated EventLoop, ByteStream) async throws -> Void
  ) async throws {
    try loop.requireRunning("Listener.serve")
    if isClosed { throw closedError("Listener.serve") }
    guard let owner = loop.owner else { throw loop.closedError("Listener.serve") }
    try await owner.serve(self, limit, closeTimeout, onFailure, body)
  }

  func drained(within limit: Duration) async {
    let drain = ListenerDrain(loop, service, limit)
    // What ends it sooner, a cancellation or the loop's end, is what was waited for too.
    _ = try? await LoopWait(.accept, on: loop, owner: drain).value("Listener.drain")
  }
}

extension EventLoop {
  fileprivate func serve(
    _ listener: ListenerCore, _ limit: Int, _ closeTimeout: Duration,
    _ onFailure: (@Sendable (SocketAddress?, any Error) -> Void)?,
    _ body: @Sendable @escaping (isolated EventLoop, ByteStream) async throws -> Void
  ) async throws {
    let service = listener.service
    if !service.isRunning && listener.isAwaited {
      throw UVError(
        .busy, call: "Listener.serve", "Somebody waits in accept at this listener. Use one or the other.")
    }
    try listener.serviceStarts(limit, onFailure)
    defer { listener.serviceEnded() }
    let name = "\(listener.address)"
    try await withThrowingDiscardingTaskGroup { group in
      defer { listener.serviceStopped() }
      while let stream = try await listener.next() {
        group.addTask(name: "\(name) < \(stream.peerText)", executorPreference: taskExecutor) {
          await self.handle(stream, listener, closeTimeout, body)
        }
      }
      if try await service.wait(on: core) { group.cancelAll() }
    }
    if let failure = listener.failure { throw failure.named("Listener.serve") }
  }

  /// One connection, from its beginning to its end.
  private func handle(
    _ stream: ByteStream, _ listener: ListenerCore, _ closeTimeout: Duration,
    _ body: @Sendable (isolated EventLoop, ByteStream) async throws -> Void
  ) async {
    // Off the loop only when that has ended, and with it the stream.
    guard let scope = WaitScope.open(on: core) else { return listener.serveEnded() }
    await scope.run {
      do {
        try await body(self, stream)
        await stream.closeGracefully(within: closeTimeout)
      } catch {
        // The kernel sends a reset by itself where bytes are left in its own buffer.
        stream.inner.close(resetting: !stream.inner.reader.isEmpty)
        if !(error is CancellationError) { listener.service.fail(stream.peerAddress, error) }
      }
    }
    listener.serveEnded()
  }
}

extension ListenerCore {
  /// The next connection for `serve`, when there is a place for it; nil when nothing is accepted any more.
  fileprivate func next() async throws -> ByteStream? {
    do {
      if !service.hasRoom { _ = try await service.wait(on: loop) }
      return try await accept(for: .service)
    } catch let error as UVError where error.code == .handleClosed || failure != nil {
      // What is open ends as it does after a close.
      return nil
    }
  }
}

extension ByteStream {
  /// For a task's name.
  fileprivate var peerText: String { peerAddress.map(String.init(describing:)) ?? "unknown" }
}
