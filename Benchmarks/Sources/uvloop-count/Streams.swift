import CCounting
import Glibc
import UVLoop

extension Count {
  /// Two ends of one connection, both on the loop.
  static func streams(_ ledger: inout Ledger) async throws {
    ledger = try await withEventLoop { [ledger] loop in
      var ledger = ledger
      let listener = try await loop.listen(on: .loopback(port: 0))
      let port = listener.address.port ?? 0
      let client = try await loop.connect(to: .loopback(port: port))
      let server = try await listener.accept()
      let message = [UInt8](repeating: 1, count: 64)

      let lending = loop.task { loop in
        // An empty message ends it, and that comes with the last byte of the next one.
        while try await server.read({ bytes in try server.tryWrite(bytes, isolation: loop) }) == message.count {}
      }
      let borrowed = try await allocations { try await borrow(loop, client, message) }
      ledger.enter("echo, borrowed, both ends", "allocations", borrowed, atMost: 0)
      let (writes, controls) = (counting_writes(), counting_controls())
      for _ in 0..<rounds { try await borrow(loop, client, message) }
      // One of each end.
      let wakes = Double(counting_writes() - writes) / Double(rounds) - 2
      ledger.enter("echo, borrowed, both ends", "wakes", wakes, atMost: 0)
      let changes = Double(counting_controls() - controls) / Double(rounds)
      ledger.enter("echo, borrowed, both ends", "epoll_ctl", changes, atMost: 0)
      try await client.write([0])
      _ = try await client.read()
      _ = try await lending.value

      let copying = loop.task { _ in
        while let bytes = try await server.read(), bytes.count > 1 { try await server.write(bytes) }
      }
      let copied = try await allocations {
        try await client.write(message)
        _ = try await client.read { $0.byteCount }
      }
      ledger.enter("echo, arrays", "allocations", copied, atMost: 1)
      try await client.write([0])
      _ = try await copying.value

      client.close()
      server.close()

      let accepted = try await allocations {
        let socket = connect(to: port)
        try await listener.accept().close()
        Glibc.close(socket)
      }
      ledger.enter("accept and close", "allocations", accepted, atMost: 6)
      listener.close()
      return ledger
    }
  }

  /// Sends, and looks at the answer.
  ///
  /// Not inlined: Swift 6.3.1 fails to split a coroutine that calls what throws a `UVError` in a loop of its own.
  @inline(never)
  private static func borrow(_ loop: isolated EventLoop, _ stream: TCPStream, _ message: [UInt8]) async throws {
    _ = try stream.tryWrite(message.span.bytes, isolation: loop)
    _ = try await stream.read { $0.byteCount }
  }

  /// A client that is not the library's, whose close leaves no port behind that waits.
  private static func connect(to port: UInt16) -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var lingering = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<linger>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    let status = withUnsafeBytes(of: &address) { bytes in
      Glibc.connect(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
    precondition(status == 0, "connect failed with errno \(errno)")
    return descriptor
  }
}
