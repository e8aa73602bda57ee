/// A connection that was accepted, and is no stream yet: it may go to another loop.
struct AcceptedConnection: Sendable {
  /// Whoever has it closes it.
  let descriptor: Int32
  let peer: SocketAddress?
  /// The address at which it came, and whether its own may be another one.
  let listening: SocketAddress
  let isWildcard: Bool

  /// Asks the system where it has to be asked.
  var addresses: StreamAddresses {
    StreamAddresses(local: isWildcard ? ListeningSocket.localAddress(of: descriptor) : listening, peer: peer)
  }
}
