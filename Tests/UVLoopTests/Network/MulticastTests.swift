import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Groups, over the loopback alone, and the options of what is sent.
@Suite(.sideBySide) struct MulticastTests {
  private static let loopback = "127.0.0.1"

  private static func group(_ last: Int, port: UInt16) throws -> SocketAddress {
    try .ip("239.255.77.\(last)", port: port)
  }

  /// One that sends to groups over the loopback, and is no part of the library.
  private static func sender(on address: PlainAddress = .ipv4()) throws -> PlainDatagrams {
    let sender = try PlainDatagrams(on: address)
    sender.set(Int32(IPPROTO_IP), IP_MULTICAST_IF, Int32(bitPattern: UInt32(0x7f00_0001).bigEndian))
    return sender
  }

  /// What has come for good: what is sent behind it to the socket itself comes later.
  private static func arrived(at socket: UDPSocket, behind marker: UInt8, from sender: PlainDatagrams) async throws
    -> [UInt8]
  {
    try sender.send([marker], to: .ipv4(port: try #require(socket.localAddress.port)))
    var seen: [UInt8] = []
    for try await datagram in socket {
      if datagram.bytes == [marker] { break }
      seen += datagram.bytes
    }
    return seen
  }

  @Test(arguments: ["lo", loopback, "::1"])
  func `L-32 a member gets what is sent to the group, until it leaves, and of no other group`(
    interface: String
  ) async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .any(port: 0))
      let other = try await loop.bindUDP(to: .any(port: 0))
      let port = try #require(socket.localAddress.port)
      let sender = try Self.sender()
      let (first, second) = (try Self.group(1, port: port), try Self.group(2, port: port))
      try socket.joinGroup(first, interface: interface)
      // Another one's membership is its own.
      try other.joinGroup(second, interface: interface)
      try expectCode(.addressInUse) { try socket.joinGroup(first, interface: interface, isolation: loop) }
      try sender.send([1], to: second.plain)
      try sender.send([2], to: first.plain)
      #expect(try await Self.arrived(at: socket, behind: 99, from: sender) == [2])
      try socket.leaveGroup(first, interface: interface)
      try expectCode(.addressNotAvailable) { try socket.leaveGroup(first, interface: interface, isolation: loop) }
      try sender.send([3], to: first.plain)
      #expect(try await Self.arrived(at: socket, behind: 98, from: sender) == [])
      socket.close()
      other.close()
    }
  }

  @Test func `L-32 a member for one source gets what that sends, and of nobody else`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .any(port: 0))
      let group = try Self.group(3, port: try #require(socket.localAddress.port))
      let source = try SocketAddress.ip("127.0.0.1", port: 0)
      try socket.joinGroup(group, interface: Self.loopback, source: source)
      let wanted = try Self.sender()
      let unwanted = try Self.sender(on: .ipv4().at127(2))
      try unwanted.send([1], to: group.plain)
      try wanted.send([2], to: group.plain)
      #expect(try await Self.arrived(at: socket, behind: 99, from: wanted) == [2])
      try socket.leaveGroup(group, interface: Self.loopback, source: source)
      try wanted.send([3], to: group.plain)
      #expect(try await Self.arrived(at: socket, behind: 98, from: wanted) == [])
      socket.close()
    }
  }

  @Test func `L-32 what is sent to a group leaves by the interface, and comes to this machine or not`() async throws {
    try await onTestLoop { loop, _ in
      let receiver = try await loop.bindUDP(to: .any(port: 0))
      let group = try Self.group(4, port: try #require(receiver.localAddress.port))
      try receiver.joinGroup(group, interface: Self.loopback)
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      for interface in ["lo", Self.loopback, "::1"] {
        try socket.setMulticastInterface(interface)
        try await socket.send([1], to: group)
        let datagram = try await receiver.receive()
        #expect(datagram == Datagram(bytes: [1], peerAddress: socket.localAddress))
      }
      try socket.setMulticastInterface(nil)
      try socket.setMulticastLoop(false)
      let flag = try socket.withUnsafeDescriptor(isolation: loop) {
        Socket.get($0, Int32(IPPROTO_IP), IP_MULTICAST_LOOP)
      }
      #expect(flag == 0)
      try socket.setMulticastLoop(true)
      for closing in [receiver, socket] { closing.close() }
    }
  }

  @Test(arguments: [SocketAddress.Family.ipv4, .ipv6])
  func `L-32 times to live take effect, in their limits`(family: SocketAddress.Family) async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0, family: family))
      let level = Int32(family == .ipv4 ? IPPROTO_IP : IPPROTO_IPV6)
      let names =
        family == .ipv4 ? (IP_TTL, IP_MULTICAST_TTL) : (IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS)
      let option = { (name: Int32) throws -> Int32 in
        try socket.withUnsafeDescriptor(isolation: loop) { Socket.get($0, level, name) }
      }
      for hops in [1, 33, 255] {
        try socket.setTimeToLive(hops)
        #expect(try option(names.0) == hops)
      }
      for hops in [0, 1, 255] {
        try socket.setMulticastTimeToLive(hops)
        #expect(try option(names.1) == hops)
      }
      for hops in [0, -1, 256, .max] {
        try expectCode(.invalidArgument) { try socket.setTimeToLive(hops, isolation: loop) }
      }
      for hops in [-1, 256, .min] {
        try expectCode(.invalidArgument) { try socket.setMulticastTimeToLive(hops, isolation: loop) }
      }
      socket.close()
    }
  }

  @Test func `L-32 what is no group, or no interface, is refused`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .any(port: 0))
      let six = try await loop.bindUDP(to: .any(port: 0, family: .ipv6))
      let group = try Self.group(5, port: 1)
      for address in [
        SocketAddress.loopback(port: 1), .any(port: 1), try .unix("/tmp/x"), try .ip("223.0.0.1", port: 1),
      ] {
        try expectCode(.invalidArgument) { try socket.joinGroup(address, isolation: loop) }
      }
      // A group of IPv6, on a socket of IPv4.
      try expectCode(.invalidArgument) { try socket.joinGroup(try .ip("ff02::77", port: 1), isolation: loop) }
      for source in [try SocketAddress.ip("::1", port: 0), group, .any(port: 0), try .unix("/tmp/x")] {
        try expectCode(.invalidArgument) { try socket.joinGroup(group, source: source, isolation: loop) }
      }
      for interface in ["", "nosuch0", "lo\0", String(repeating: "l", count: 100), "300.1.1.1", "fe80::1%nosuch0"] {
        try expectCode(.noSuchAddressOrDevice) { try socket.joinGroup(group, interface: interface, isolation: loop) }
        try expectCode(.noSuchAddressOrDevice) { try socket.setMulticastInterface(interface, isolation: loop) }
      }
      for interface in ["192.0.2.1", "2001:db8::1"] {
        try expectCode(.addressNotAvailable) { try socket.joinGroup(group, interface: interface, isolation: loop) }
        try expectCode(.addressNotAvailable) { try six.setMulticastInterface(interface, isolation: loop) }
      }
      try expectCode(.noSuchAddressOrDevice) {
        try six.joinGroup(try .ip("ff02::77", port: 1, scopeID: 99_999), isolation: loop)
      }
      try expectCode(.addressNotAvailable) { try socket.leaveGroup(group, interface: "lo", isolation: loop) }
      socket.close()
      six.close()
    }
  }

  @Test func `L-32 a group of IPv6 is joined by the interface's name, its address, or the scope of the group`()
    async throws
  {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .any(port: 0, family: .ipv6))
      let sender = try await loop.bindUDP(to: .any(port: 0, family: .ipv6))
      let port = try #require(socket.localAddress.port)
      let index = unsafe if_nametoindex("lo")
      let group = try SocketAddress.ip("ff12::7777", port: port, scopeID: index)
      try sender.setMulticastInterface("lo")
      var isReachable = true
      for interface in ["lo", "127.0.0.1", "::1", nil] {
        try socket.joinGroup(group, interface: interface)
        try expectCode(.addressInUse) { try socket.joinGroup(group, interface: "lo", isolation: loop) }
        if try await errorCode({ try await sender.send([6], to: group) }) == .networkUnreachable {
          isReachable = false
        } else {
          #expect(try await socket.receive().bytes == [6])
        }
        try socket.leaveGroup(group, interface: interface)
      }
      if !isReachable { print("no route leads to a group of IPv6 here, and only joining was tested") }
      socket.close()
      sender.close()
    }
  }

  @Test func `L-32 a socket of IPv6 gets what is sent to a group of IPv4, unless it is for IPv6 alone`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .any(port: 0, family: .ipv6))
      let group = try Self.group(6, port: try #require(socket.localAddress.port))
      let sender = try Self.sender()
      try sender.send([1], to: group.plain)
      try socket.joinGroup(group, interface: "lo")
      try sender.send([2], to: group.plain)
      #expect(try await Self.arrived(at: socket, behind: 99, from: sender) == [2])
      socket.close()
      var options = UDPSocket.Options()
      options.ipv6Only = true
      let six = try await loop.bindUDP(to: .any(port: 0, family: .ipv6), options: options)
      try expectCode(.invalidArgument) { try six.joinGroup(group, interface: "lo", isolation: loop) }
      six.close()
    }
  }
}
