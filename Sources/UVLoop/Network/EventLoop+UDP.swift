extension EventLoop {
  /// Binds a UDP socket to an address.
  ///
  /// ```swift
  /// let client = try await loop.bindUDP()
  /// let server = try await loop.bindUDP(to: .any(port: 53))
  /// ```
  ///
  /// A socket that is bound to `::` sends and receives by IPv4 too, unless ``UDPSocket/Options/ipv6Only`` is true;
  /// those peers have addresses such as `::ffff:127.0.0.1`.
  ///
  /// - Parameters:
  ///   - address: Port 0 lets the system choose one, which ``UDPSocket/localAddress`` says. The default is for a client
  ///     of IPv4.
  ///   - options: Of the socket.
  /// - Returns: The socket, which belongs to this loop, and is the caller's to close.
  /// - Throws: ``UVError/Code/addressInUse`` if somebody else has the address; ``UVError/Code/addressNotAvailable`` if
  ///   it is no address of this machine; ``UVError/Code/permissionDenied`` for what this process may not, such as a
  ///   port below 1,024; ``UVError/Code/tooManyOpenFiles``; ``UVError/Code/invalidArgument`` for options that are not
  ///   possible, and for the address of a Unix socket; ``UVError/Code/addressFamilyNotSupported`` without IPv6;
  ///   ``UVError/Code/loopClosed``; `CancellationError`. Nothing is left open then.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: It takes no time. In a task that is cancelled already nothing is opened.
  ///
  /// > libuv: `uv_udp_open`, of a socket that is the library's own, and `uv_udp_bind`.
  public nonisolated(nonsending) func bindUDP(
    to address: SocketAddress = .any(port: 0), options: UDPSocket.Options = .init()
  ) async throws -> UDPSocket {
    try Task.checkCancellation()
    try requireRunning("EventLoop.bindUDP")
    try options.validate("EventLoop.bindUDP")
    if address.family == .unix {
      throw UVError(
        .invalidArgument, call: "EventLoop.bindUDP",
        "\(address) is the address of a Unix socket, and UDP is for IPv4 and IPv6. For such a one use a PollHandle.")
    }
    return try await open(address, options)
  }

  /// On the loop.
  private func open(_ address: SocketAddress, _ options: UDPSocket.Options) throws -> UDPSocket {
    try requireOnLoop("EventLoop.bindUDP")
    return UDPSocket(UDPCore(try UDPEngine(on: core, address, options), options))
  }
}
