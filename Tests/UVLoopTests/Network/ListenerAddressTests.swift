import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// On which addresses a listener listens.
@Suite(.sideBySide) struct ListenerAddressTests {
  @Test func `L-21 a connection over IPv6 shows both addresses as IPv6`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .tcp("::1", 0))
      #expect(listener.address == .loopback(port: listener.address.port ?? 0, family: .ipv6))
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      let stream = try await listener.accept()
      #expect(stream.localAddress == listener.address)
      #expect(stream.peerAddress == peer.ownAddress)
      #expect(stream.peerAddress?.family == .ipv6)
    }
  }

  #if os(Linux)
    /// `fe80::/10` of some interface, from the kernel's own table; nil where there is none that is up.
    private static let linkLocal: SocketAddress? = {
      for line in Process.contents(of: "/proc/net/if_inet6").split(separator: "\n") {
        let fields = line.split(separator: " ")
        guard fields.count == 6, fields[3] == "20", let index = UInt32(fields[1], radix: 16) else { continue }
        let groups = stride(from: 0, to: 32, by: 4).map { String(fields[0].dropFirst($0).prefix(4)) }
        return try? .ip(groups.joined(separator: ":"), port: 0, scopeID: index)
      }
      return nil
    }()

    @Test(.enabled(if: linkLocal != nil))
    func `L-21 an address of one link keeps its scope id through listen, connect and accept`() async throws {
      let address = try #require(Self.linkLocal)
      try await withTestLoop { loop, _ in
        let listener = try await loop.listen(on: .address(address))
        #expect(listener.address.scopeID == address.scopeID)
        #expect(listener.address.host == address.host)
        let client = try await loop.connect(to: .address(listener.address))
        let server = try await listener.accept()
        for end in [client.localAddress, client.peerAddress, server.localAddress, server.peerAddress] {
          #expect(end?.scopeID == address.scopeID)
        }
        #expect(client.peerAddress == listener.address)
        #expect(server.peerAddress == client.localAddress)
        #expect(try AnyEndpoint.text("tcp://\(listener.address)") == AnyEndpoint(.address(listener.address)))
      }
    }
  #endif

  @Test func `all interfaces are one socket for both families`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .allInterfaces(port: 0))
      let port = try #require(listener.address.port)
      #expect(listener.address.isUnspecified)
      for address in [PlainAddress.ipv4(port: port), .ipv6(port: port)] {
        let peer = try PlainSocket(connectingTo: address)
        let stream = try await listener.accept()
        // The address by which it was reached, and not the one that stands for all.
        #expect(stream.localAddress?.isLoopback == true)
        #expect(stream.localAddress?.port == port)
        #expect(stream.peerAddress?.port == peer.ownAddress?.port)
        #expect(stream.peerAddress?.isLoopback == true)
      }
      let client = try await loop.connect(to: .allInterfaces(port: port))
      #expect(client.peerAddress == .loopback(port: port))
    }
  }

  @Test func `an IPv6 address for all interfaces takes both families, or one if it is told so`() async throws {
    try await withTestLoop { loop, _ in
      for isOnly in [false, true] {
        var options = TCPListener.Options()
        options.ipv6Only = isOnly
        let listener = try await loop.listen(on: .tcp("::", 0), options: options)
        let port = try #require(listener.address.port)
        _ = try PlainSocket(connectingTo: .ipv6(port: port))
        if isOnly {
          #expect(throws: PlainFailure("connect", errno: ECONNREFUSED)) {
            _ = try PlainSocket(connectingTo: .ipv4(port: port))
          }
        } else {
          _ = try PlainSocket(connectingTo: .ipv4(port: port))
        }
      }
    }
  }

  @Test func `a name with several addresses is listened on at all of them, under one port`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try listenAtBoth(loop)
      let port = try #require(listener.address.port)
      for address in [PlainAddress.ipv4(port: port), .ipv6(port: port), .ipv4(port: port)] {
        let peer = try PlainSocket(connectingTo: address)
        let stream = try await listener.accept()
        #expect(stream.peerAddress == peer.ownAddress)
        #expect(stream.localAddress == (try address.address))
      }
      listener.close()
      for address in [PlainAddress.ipv4(port: port), .ipv6(port: port)] {
        // A process that is just being started may have the socket still.
        await expectEventually {
          do {
            _ = try PlainSocket(connectingTo: address)
            return false
          } catch {
            return error as? PlainFailure == PlainFailure("connect", errno: ECONNREFUSED)
          }
        }
      }
    }
  }

  @Test func `a connection at each of two addresses reaches each of two acceptors`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try listenAtBoth(loop)
      let port = try #require(listener.address.port)
      let tasks = (0..<2).map { _ in loop.task { _ in try await listener.accept() } }
      try await waitForAcceptors(at: listener, on: loop)
      let peers = [
        try PlainSocket(connectingTo: .ipv4(port: port)), try PlainSocket(connectingTo: .ipv6(port: port)),
      ]
      var seen: Set<SocketAddress?> = []
      for task in tasks { seen.insert(try await task.value.peerAddress) }
      #expect(seen == Set(peers.map(\.ownAddress)))
    }
  }

  @Test func `a port that one of the addresses has not free is not used for any`() async throws {
    try await onTestLoop { loop, _ in
      // The same port on IPv6 is somebody else's. Over IPv4 it may be the port of another test's connection.
      var other = try PlainListener(on: .ipv6())
      while (try? PlainListener(on: .ipv4(port: other.port))) == nil { other = try PlainListener(on: .ipv6()) }
      let addresses: [SocketAddress] = [
        .loopback(port: other.port), .loopback(port: other.port, family: .ipv6),
      ]
      try expectCode(.addressInUse) { _ = try ListeningSocket.open(all: addresses, TCPListener.Options()) }
      // A process that is just being started may have the socket still.
      await expectEventually { (try? await loop.listen(on: .loopback(port: other.port))) != nil }
    }
  }

  @Test func `an address that comes twice is listened on once`() throws {
    let addresses: [SocketAddress] = [.loopback(port: 0), .loopback(port: 0, family: .ipv6), .loopback(port: 0)]
    let sockets = try ListeningSocket.open(all: addresses, TCPListener.Options())
    #expect(sockets.map(\.address.family) == [.ipv4, .ipv6])
    for socket in sockets { socket.close() }
  }

  @Test func `a name is looked up to listen, and reached by it`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .tcp("localhost", 0))
      let port = try #require(listener.address.port)
      for address in try await loop.resolve("localhost", port: port) {
        _ = try PlainSocket(connectingTo: address.plain)
        #expect(try await listener.accept().localAddress == address)
      }
      let client = try await loop.connect(to: .tcp("localhost", port))
      #expect(client.peerAddress?.isLoopback == true)
      try await expectCode(.addressInfoUnknownName) { _ = try await loop.listen(on: .tcp("no.such.name.invalid", 0)) }
    }
  }

  @Test func `L-17 two listeners with the reuse-port option share one port`() async throws {
    try await withTestLoop { loop, _ in
      var options = TCPListener.Options()
      options.reusePort = true
      let first = try await loop.listen(on: .loopback(port: 0), options: options)
      let second = try await loop.listen(on: .address(first.address), options: options)
      #expect(second.address == first.address)
      try await expectCode(.addressInUse) { _ = try await loop.listen(on: .address(first.address)) }
      // The kernel chooses by a hash of the peer's port: of 64 peers each gets some.
      let servers = [first, second].map { listener in
        Task { try await listener.serve { _, stream in try await stream.write("!") } }
      }
      for _ in 0..<64 {
        let peer = try PlainSocket(connectingTo: first.address.plain)
        #expect(try await onPlainThread { try peer.receiveAll() } == Array("!".utf8))
      }
      #expect(first.statistics.accepted > 0)
      #expect(second.statistics.accepted > 0)
      #expect(first.statistics.accepted + second.statistics.accepted == 64)
      first.close()
      second.close()
      for server in servers { try await server.value }
    }
  }
}
