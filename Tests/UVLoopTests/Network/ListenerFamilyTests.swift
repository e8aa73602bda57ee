import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Machines that have not all families of addresses.
@Suite(.alone) struct ListenerFamilyTests {
  #if os(Linux) && (arch(x86_64) || arch(arm64))
    @Test func `without IPv6 a listener takes the other addresses of a name, or all interfaces of IPv4`() async {
      await #expect(processExitsWith: .success) {
        try await onTestLoop { loop, _ in
          try #require(SystemCallFilter.fail(.socket, ofWhichFirst: AF_INET6, with: EAFNOSUPPORT))
          let (six, four) = (SocketAddress.loopback(port: 0, family: .ipv6), SocketAddress.loopback(port: 0))
          let sockets = try ListeningSocket.open(all: [six, four], TCPListener.Options())
          #expect(sockets.map(\.address.family) == [.ipv4])
          for socket in sockets { socket.close() }
          try expectCode(.addressFamilyNotSupported) {
            _ = try ListeningSocket.open(all: [six], TCPListener.Options())
          }
          let listener = try await loop.listen(on: .allInterfaces(port: 0))
          #expect(listener.address.family == .ipv4)
          let peer = try PlainSocket(connectingTo: .ipv4(port: try #require(listener.address.port)))
          #expect(try await listener.accept().peerAddress == peer.ownAddress)
        }
      }
    }
  #endif
}
