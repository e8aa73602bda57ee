import UVLoop

/// Sends back each datagram, in one of the ways that the library has for it.
enum DatagramEcho: String {
  case borrowed = "uvloop-swift"
  case array = "uvloop-swift-array"

  init?(_ peer: String) { self.init(rawValue: peer) }

  func serve(_ loop: isolated EventLoop, _ socket: UDPSocket) async throws {
    switch self {
    case .borrowed: try await DatagramEcho.borrow(loop, socket)
    case .array:
      for try await datagram in socket { try await socket.send(datagram.bytes, to: datagram.peerAddress) }
    }
  }

  /// What the kernel does not take at once is copied, and waited for.
  private static func borrow(_ loop: isolated EventLoop, _ socket: UDPSocket) async throws {
    while true {
      let refused = try await socket.receive { (bytes, peer, _) -> Datagram? in
        if try socket.trySend(bytes, to: peer, isolation: loop) { return nil }
        return Datagram(bytes: bytes.withUnsafeBytes { [UInt8]($0) }, peerAddress: peer, isTruncated: false)
      }
      if let refused { try await socket.send(refused.bytes, to: refused.peerAddress) }
    }
  }
}

/// Counts datagrams, and answers one of a byte with their number.
func countDatagrams(_ loop: isolated EventLoop, _ socket: UDPSocket) async throws {
  var received: UInt64 = 0
  while true {
    let asking = try await socket.receive { (bytes, peer, _) -> SocketAddress? in
      if bytes.byteCount == 1 { return peer }
      received += 1
      return nil
    }
    if let asking { try await socket.send(withUnsafeBytes(of: received) { [UInt8]($0) }, to: asking) }
  }
}
