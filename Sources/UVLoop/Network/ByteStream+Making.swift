// From a descriptor to a stream: the one place that knows which kinds there are.

extension ByteStream {
  /// A stream over a connected socket, which is the stream's from now on, also where this throws.
  ///
  /// - Parameter isAdopted: Whether somebody else had the descriptor, and may still know its number.
  static func make(
    _ descriptor: Int32, isUnix: Bool, on loop: LoopCore, _ options: Options, _ addresses: StreamAddresses,
    isAdopted: Bool = false
  ) throws(UVError) -> ByteStream {
    let engine: StreamEngine =
      isUnix
      ? try PipeEngine.make(descriptor, on: loop, options, isAdopted: isAdopted)
      : try TCPEngine(descriptor, on: loop, isAdopted: isAdopted)
    try engine.applyOrClose(options)
    return make(over: engine, options, addresses)
  }

  static func make(
    over engine: StreamEngine, _ options: Options, _ addresses: StreamAddresses
  ) -> ByteStream {
    switch engine {
    case let engine as TCPEngine: TCPStream(engine, options, addresses)
    case let engine as PipeEngine: PipeStream(engine, options, addresses)
    default: fatalError("UVLoop: there is no stream over \(engine.description).")
    }
  }
}

extension ByteStream {
  /// A connection that was accepted at this address and that nobody has, for another loop to have. Nil if it has been
  /// closed, or the process has no descriptor left. On its loop.
  func release(at address: SocketAddress) -> AcceptedConnection? {
    guard !isClosed, let own = inner.transport.descriptor else { return nil }
    let descriptor = Socket.duplicate(own)
    close()
    if descriptor < 0 { return nil }
    return AcceptedConnection(
      descriptor: descriptor, peer: peerAddress, listening: localAddress ?? address, isWildcard: false)
  }
}
