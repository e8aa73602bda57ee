extension EventLoop {
  /// Listens on an endpoint, whose type says of which kind the connections are.
  ///
  /// ```swift
  /// let listener = try await loop.listen(on: .tcp("localhost", 7000))
  /// try await listener.serve { loop, stream in try await stream.copy(to: stream) }
  /// ```
  ///
  /// A host name is looked up, and listened to on all of its addresses with one port.
  /// ``StreamEndpoint/allInterfaces(port:)`` is one socket for IPv6 and IPv4. Port 0 lets the system choose;
  /// ``Listener/address`` says which it is.
  ///
  /// TCP's addresses can be listened on again at once (`SO_REUSEADDR`). The file of a Unix socket is made here; one at
  /// which nobody listens any more is replaced, unless ``Listener/Options/replacesStaleSocket`` is false.
  ///
  /// A socket of ``StreamEndpoint/activatedSocket(_:)`` listens already: of the options only those of its streams have
  /// an effect.
  ///
  /// From now on the kernel lets clients connect. They wait in its queue until somebody accepts them.
  ///
  /// - Throws: ``UVError/Code/addressInUse`` if somebody else listens there, or something else than a socket stands at
  ///   the path; ``UVError/Code/addressNotAvailable`` if it is no address of this machine;
  ///   ``UVError/Code/permissionDenied`` for what this process may not, such as a port below 1,024; what
  ///   ``resolve(_:port:service:family:)`` throws for a name; ``UVError/Code/noSuchFileOrDirectory`` for a path in no
  ///   folder; ``UVError/Code/tooManyOpenFiles``; ``UVError/Code/invalidArgument`` for options that are not possible;
  ///   ``UVError/Code/loopClosed``; `CancellationError`. Nothing is left open then.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation. The listener and its connections belong to
  /// this loop.
  ///
  /// > Cancellation: Ends the look-up of a name. The rest takes no time.
  ///
  /// > libuv: Not `uv_listen`, `uv_tcp_bind` and `uv_pipe_bind`: the socket is the library's own, watched by a
  /// `uv_poll_t`; see <doc:OwnAccept>.
  public nonisolated(nonsending) func listen<Stream: ByteStream>(
    on endpoint: StreamEndpoint<Stream>, options: Listener<Stream>.Options = .init()
  ) async throws -> Listener<Stream> {
    try Task.checkCancellation()
    try requireRunning("EventLoop.listen")
    try options.validate()
    if case .activated(let name) = endpoint.location { return try await open(activated: name, options) }
    let addresses = try await addresses(toListenOn: endpoint.location)
    return try await open(addresses, options)
  }

  nonisolated(nonsending) func addresses(toListenOn location: StreamLocation) async throws -> [SocketAddress] {
    switch location {
    case .socket(let address): [address]
    case .allInterfaces(let port): [.any(port: port, family: .ipv6), .any(port: port)]
    case .name(let host, let port): try await resolve(host, port: port)
    case .activated: []
    }
  }

  /// On the loop.
  private func open<Stream: ByteStream>(
    activated name: String?, _ options: Listener<Stream>.Options
  ) throws -> Listener<Stream> {
    try requireOnLoop("EventLoop.listen")
    return Listener(try ListenerCore(try SocketActivation.shared.open(name), on: core, options.stream))
  }

  /// On the loop.
  private func open<Stream: ByteStream>(
    _ addresses: [SocketAddress], _ options: Listener<Stream>.Options
  ) throws -> Listener<Stream> {
    try requireOnLoop("EventLoop.listen")
    return Listener(try ListenerCore(try ListeningSocket.open(at: addresses, options), on: core, options.stream))
  }
}
