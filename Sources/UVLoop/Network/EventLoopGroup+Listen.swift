extension EventLoopGroup {
  /// Listens with one listener over all loops of the group.
  ///
  /// ```swift
  /// let listener = try await group.listen(on: .tcp("0.0.0.0", 7_000))
  /// try await listener.serve { loop, stream in try await stream.copy(to: stream) }
  /// ```
  ///
  /// The body of ``Listener/serve(limit:closeTimeout:onFailure:_:)`` runs on the loop that it is handed, where its
  /// stream lives. Bodies of one loop take turns, and those of different loops run at the same time; `onFailure` runs
  /// on the connection's loop. `limit` counts the connections of all loops, and so does ``Listener/statistics``.
  /// ``Listener/accept()`` returns streams of all loops.
  ///
  /// With ``Distribution/leastConnections`` the first loop accepts, and hands each connection to the loop that has the
  /// fewest open: one message, for which a loop that is awake is not woken. Connections of all listeners of the group
  /// count, and those alone. Several loops with equally few take turns.
  ///
  /// With ``Distribution/reusePort`` each loop has a socket of its own at the same port, and a connection stays on the
  /// loop where it came. It costs no message, but who gets a connection is the kernel's choice, by chance: some loops
  /// have many more than others.
  ///
  /// When a loop of the group is shut down its connections end with ``UVError/Code/loopClosed``. Its listening sockets
  /// move to another loop, so that nobody who waits in their queues is lost, and `serve` goes on with the others.
  ///
  /// - Parameters:
  ///   - endpoint: Where; see ``EventLoop/listen(on:options:)``.
  ///   - distribution: Who of the loops gets a connection.
  ///   - options: As for one loop. ``Listener/Options/reusePort`` is set by the distribution of that name.
  /// - Throws: What ``EventLoop/listen(on:options:)`` throws; ``UVError/Code/notSupported`` with
  ///   ``Distribution/reusePort`` for a Unix socket, and for one that a service manager has passed;
  ///   ``UVError/Code/loopClosed`` if all loops have been shut down. Nothing is left open then.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Ends the look-up of a name. The rest takes no time.
  public nonisolated(nonsending) func listen<Stream: ByteStream>(
    on endpoint: StreamEndpoint<Stream>, distribution: Distribution = .leastConnections,
    options: Listener<Stream>.Options = .init()
  ) async throws -> Listener<Stream> {
    do {
      return try await open(endpoint, distribution, options)
    } catch let error as UVError {
      throw error.named("EventLoopGroup.listen")
    }
  }

  private nonisolated(nonsending) func open<Stream: ByteStream>(
    _ endpoint: StreamEndpoint<Stream>, _ distribution: Distribution, _ options: Listener<Stream>.Options
  ) async throws -> Listener<Stream> {
    try Task.checkCancellation()
    try options.validate()
    let addresses = try await addresses(toListenOn: endpoint.location)
    let loops = loops.filter { $0.state == .running }
    // A listener that has been closed frees its address on its loops, by messages that are older than these.
    for loop in loops { await loop.run { _ in } }
    let sockets = try EventLoopGroup.sockets(endpoint.location, at: addresses, distribution, for: loops.count, options)
    let listener = GroupListener(sockets[0][0].address, options.stream, distribution)
    var parts: [ListenerCore] = []
    for loop in loops {
      // One that has ended meanwhile has none. Its socket goes to another one.
      if let part = await loop.part(of: listener) { parts.append(part) }
    }
    if parts.isEmpty {
      for socket in sockets.joined() { socket.close() }
      throw EventLoopGroup.closedError("EventLoopGroup.listen")
    }
    return Listener(listener.begin(parts, with: sockets))
  }

  /// Looked up by any of the loops: one may end meanwhile.
  private nonisolated(nonsending) func addresses(toListenOn location: StreamLocation) async throws -> [SocketAddress] {
    while let loop = loops.first(where: { $0.state == .running }) {
      do {
        return try await loop.addresses(toListenOn: location)
      } catch let error as UVError where error.code == .loopClosed && loop.state != .running {}
    }
    throw EventLoopGroup.closedError("EventLoopGroup.listen")
  }

  /// The sockets of each loop that accepts.
  private static func sockets<Stream>(
    _ location: StreamLocation, at addresses: [SocketAddress], _ distribution: Distribution, for count: Int,
    _ options: Listener<Stream>.Options
  ) throws(UVError) -> [[ListeningSocket]] {
    if case .activated(let name) = location {
      if distribution == .leastConnections { return [try SocketActivation.shared.open(name)] }
      throw UVError(
        .notSupported, call: "EventLoopGroup.listen",
        "\(location) is a socket that is open already, once. Use .leastConnections for it.")
    }
    if distribution == .leastConnections { return [try ListeningSocket.open(at: addresses, options)] }
    if let path = addresses.first(where: { $0.family == .unix }) {
      throw UVError(
        .notSupported, call: "EventLoopGroup.listen",
        "\(path) is a Unix socket, of which there is one at a path. Use .leastConnections for it.")
    }
    var options = options
    options.reusePort = true
    var all: [[ListeningSocket]] = []
    do throws(UVError) {
      for _ in 0..<max(count, 1) {
        // The first one chooses the port where nobody has.
        let port = all.first?.first?.address.port
        all.append(
          try ListeningSocket.open(at: port.map { port in addresses.map { $0.withPort(port) } } ?? addresses, options))
      }
    } catch {
      for socket in all.joined() { socket.close() }
      throw error
    }
    return all
  }
}

extension EventLoop {
  /// Nil if the loop is about to end.
  fileprivate func part(of listener: GroupListener) -> ListenerCore? {
    isCurrent && state == .running ? ListenerCore(of: listener, on: core) : nil
  }
}
