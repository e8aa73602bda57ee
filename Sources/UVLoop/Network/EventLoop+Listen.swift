extension EventLoop {
  /// Listens.
  public nonisolated(nonsending) func listen<Stream: ByteStream>(
    on endpoint: StreamEndpoint<Stream>, options: Listener<Stream>.Options = .init()
  ) async throws -> Listener<Stream> {
    try Task.checkCancellation()
    try core.requireRunning("EventLoop.listen")
    try options.validate()
    let addresses = try await addresses(toListenOn: endpoint.place)
    return try await open(addresses, options)
  }

  private nonisolated(nonsending) func addresses(toListenOn place: StreamPlace) async throws -> [SocketAddress] {
    switch place {
    case .socket(let address): [address]
    case .allInterfaces(let port): [.any(port: port, family: .ipv6), .any(port: port)]
    case .name(let host, let port): try await resolve(host, port: port)
    }
  }

  /// On the loop.
  private func open<Stream: ByteStream>(
    _ addresses: [SocketAddress], _ options: Listener<Stream>.Options
  ) throws -> Listener<Stream> {
    try core.requireOnLoop("EventLoop.listen")
    let sockets =
      addresses.allSatisfy(\.isUnspecified)
      ? [try ListeningSocket.open(onAny: addresses, options)] : try ListeningSocket.open(all: addresses, options)
    return Listener(try ListenerCore(sockets, on: core, options.stream))
  }
}
