import CCounting
import UVLoop

extension Count {
  /// Two sockets, both on the loop.
  static func datagrams(_ ledger: inout Ledger) async throws {
    ledger = try await withEventLoop { [ledger] loop in
      var ledger = ledger
      let client = try await loop.bindUDP(to: .loopback(port: 0))
      let server = try await loop.bindUDP(to: .loopback(port: 0))
      let message = [UInt8](repeating: 1, count: 64)

      let lending = loop.task { loop in
        // An empty one ends it.
        while try await server.receive({ bytes, peer, _ in
          _ = try server.trySend(bytes, to: peer, isolation: loop)
          return bytes.byteCount
        }) > 0 {}
      }
      let borrowed = try await allocations { try await exchange(client, message, server.localAddress) }
      ledger.enter("datagram and answer, borrowed, both ends", "allocations", borrowed, atMost: 0)
      let (writes, controls) = (counting_writes(), counting_controls())
      for _ in 0..<rounds { try await exchange(client, message, server.localAddress) }
      // Datagrams go by `sendmsg`: a write is a wake.
      let wakes = Double(counting_writes() - writes) / Double(rounds)
      ledger.enter("datagram and answer, borrowed, both ends", "wakes", wakes, atMost: 0)
      let changes = Double(counting_controls() - controls) / Double(rounds)
      ledger.enter("datagram and answer, borrowed, both ends", "epoll_ctl", changes, atMost: 0)
      try await client.send([], to: server.localAddress)
      _ = try await client.receive()
      try await lending.value

      let copying = loop.task { _ in
        while case let datagram = try await server.receive(), !datagram.bytes.isEmpty {
          try await server.send(datagram.bytes, to: datagram.peerAddress)
        }
      }
      let copied = try await allocations { try await exchange(client, message, server.localAddress) }
      ledger.enter("datagram and answer, arrays", "allocations", copied, atMost: 1)
      try await client.send([], to: server.localAddress)
      try await copying.value
      client.close()
      server.close()
      return ledger
    }
  }

  /// Sends, and looks at the answer.
  ///
  /// Not inlined: Swift 6.3.1 fails to split a coroutine that calls what throws a `UVError` in a loop of its own.
  @inline(never)
  private static func exchange(_ socket: UDPSocket, _ message: [UInt8], _ address: SocketAddress) async throws {
    try await socket.send(message, to: address)
    _ = try await socket.receive { bytes, _, _ in bytes.byteCount }
  }
}
