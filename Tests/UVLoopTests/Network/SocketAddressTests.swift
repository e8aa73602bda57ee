import CLibUV
import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.sideBySide) struct SocketAddressTests {
  private static let loopbackInterface = "lo"

  // MARK: L-21

  @Test func `L-21 IPv6 addresses round-trip with their scope id, by name and by number`() throws {
    let index = unsafe if_nametoindex(Self.loopbackInterface)
    try #require(index != 0)
    let named = try SocketAddress.ip("fe80::1%lo", port: 80)
    #expect(named.scopeID == index)
    #expect(named.host == "fe80::1")
    #expect(named.description == "[fe80::1%lo]:80")
    #expect(try SocketAddress.ip("fe80::1%\(index)", port: 80) == named)
    #expect(try SocketAddress.ip("fe80::1", port: 80, scopeID: index) == named)
    #expect(try SocketAddress.ip("fe80::1%lo", port: 80, scopeID: index) == named)
    #expect(try SocketAddress("[fe80::1%lo]:80") == named)
    #expect(
      try unsafe named.withUnsafeBytes { bytes throws(UVError) in try unsafe SocketAddress(unsafeBytes: bytes) }
        == named)
  }

  @Test func `L-21 an interface without a name keeps its number`() throws {
    let address = try SocketAddress.ip("fe80::1", port: 80, scopeID: 4_000_000_000)
    #expect(address.description == "[fe80::1%4000000000]:80")
    #expect(try SocketAddress(address.description) == address)
    #expect(address != (try SocketAddress.ip("fe80::1", port: 80)))
  }

  @Test(arguments: ["fe80::1%no-such-if", "fe80::1%", "fe80::1%4294967296", "fe80::1%-1", "fe80::1%+1"])
  func `L-21 an interface that is not there is refused`(_ host: String) {
    let error = #expect(throws: UVError.self) { _ = try SocketAddress.ip(host, port: 80) }
    #expect([.operationNotSupportedByDevice, .noSuchAddressOrDevice].contains(error?.code), "\(host)")
    #expect(error?.message.contains("network interface") == true)
  }

  @Test func `a scope id that does not fit the host is refused`() throws {
    for (host, scope) in [("127.0.0.1", 1), ("fe80::1%lo", 4_000_000)] as [(String, UInt32)] {
      let error = #expect(throws: UVError.self) { _ = try SocketAddress.ip(host, port: 80, scopeID: scope) }
      #expect(error?.code == .invalidArgument, "\(host)")
    }
  }

  // MARK: The bytes of C

  @Test(arguments: ["127.0.0.1", "0.0.0.0", "255.255.255.255", "1.2.3.4"])
  func `the bytes of an IPv4 address are libuv's`(_ host: String) throws {
    var expected = sockaddr_in()
    #expect(unsafe uv_ip4_addr(host, 8_080, &expected) == 0)
    let ours = try SocketAddress.ip(host, port: 8_080)
    #expect(
      unsafe ours.withUnsafeBytes { unsafe Array($0) } == Swift.withUnsafeBytes(of: expected) { unsafe Array($0) })
    #expect(ours.rawFamily == AF_INET)
  }

  @Test(arguments: ["::", "::1", "fe80::1%lo", "ff02::1", "2001:db8::a:b", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"])
  func `the bytes of an IPv6 address are libuv's`(_ host: String) throws {
    var expected = sockaddr_in6()
    #expect(unsafe uv_ip6_addr(host, 8_080, &expected) == 0)
    let ours = try SocketAddress.ip(host, port: 8_080)
    #expect(
      unsafe ours.withUnsafeBytes { unsafe Array($0) } == Swift.withUnsafeBytes(of: expected) { unsafe Array($0) })
    #expect(ours.rawFamily == AF_INET6)
  }

  @Test func `the bytes of Unix names end where the name does`() throws {
    let offset = try #require(MemoryLayout<sockaddr_un>.offset(of: \.sun_path))
    func name(_ address: SocketAddress) -> [UInt8] {
      unsafe address.withUnsafeBytes { unsafe Array($0.dropFirst(offset)) }
    }
    #expect(try name(.unix("/run/a")) == Array("/run/a\0".utf8))
    #expect(try name(.abstract(Array("a\0b".utf8))) == Array("\0a\0b".utf8))
    #expect(try name(SocketAddress("unix:")) == [])
    #expect(try SocketAddress("unix:").rawFamily == AF_UNIX)
  }

  @Test func `bytes of any alignment are read, and those of C's calls`() throws {
    let address = try SocketAddress("[2001:db8::1]:443")
    let bytes = unsafe [UInt8](repeating: 0xee, count: 1) + address.withUnsafeBytes { unsafe Array($0) }
    #expect(
      try unsafe bytes.withUnsafeBytes { unsafe try SocketAddress(unsafeBytes: .init(rebasing: $0.dropFirst())) }
        == address)
    #expect(
      try unsafe address.withSockaddr { start, count throws(UVError) in
        try unsafe SocketAddress(start, count: Int(count))
      } == address)
  }

  @Test func `the flow information of IPv6 is kept, and tells no addresses apart`() throws {
    var raw = sockaddr_in6()
    #expect(unsafe uv_ip6_addr("2001:db8::1", 443, &raw) == 0)
    raw.sin6_flowinfo = 0x0102_0304
    let address = try unsafe Swift.withUnsafeBytes(of: raw) { unsafe try SocketAddress(unsafeBytes: $0) }
    let plain = try SocketAddress("[2001:db8::1]:443")
    #expect(address == plain)
    #expect(Set([address, plain]).count == 1)
    #expect(
      unsafe address.withUnsafeBytes { unsafe $0.loadUnaligned(as: sockaddr_in6.self).sin6_flowinfo } == 0x0102_0304)
  }

  @Test(
    arguments: [
      ([], .invalidArgument), ([2], .invalidArgument), (Array(repeating: 0, count: 16), .addressFamilyNotSupported),
      ([UInt8(AF_INET)] + Array(repeating: 0, count: 14), .invalidArgument),
      ([UInt8(AF_INET6)] + Array(repeating: 0, count: 26), .invalidArgument),
      ([UInt8(AF_UNIX), 0] + Array(repeating: 65, count: 109), .fileNameTooLong),
      ([UInt8(AF_UNIX), 0, 0] + Array(repeating: 65, count: 108), .fileNameTooLong),
      ([77] + Array(repeating: 0, count: 27), .addressFamilyNotSupported),
    ] as [([UInt8], UVError.Code)])
  func `bytes that are no address are refused`(_ bytes: [UInt8], _ code: UVError.Code) {
    let error = #expect(throws: UVError.self) {
      _ = try unsafe bytes.withUnsafeBytes { unsafe try SocketAddress(unsafeBytes: $0) }
    }
    #expect(error?.code == code, "\(bytes)")
  }

  @Test(arguments: [UInt64.random(in: 0...(.max))])
  func `random bytes are refused, or an address that gives the same bytes`(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    var accepted = 0
    for _ in 0..<20_000 {
      var bytes = (0..<Int.random(in: 0...130, using: &random)).map { _ in UInt8.random(in: 0...(.max), using: &random)
      }
      if bytes.count > 1, Int.random(in: 0..<8, using: &random) > 0 {
        (bytes[0], bytes[1]) = (
          [UInt8(AF_INET), UInt8(AF_INET6), UInt8(AF_UNIX)].randomElement(using: &random) ?? 0, 0
        )
      }
      guard let address = try? unsafe bytes.withUnsafeBytes({ unsafe try SocketAddress(unsafeBytes: $0) }) else {
        continue
      }
      accepted += 1
      let again = unsafe address.withUnsafeBytes { unsafe Array($0) }
      // What C pads with is not ours to keep, and a path ends at its first zero byte.
      let count = address.family == .ipv4 ? 8 : again.count
      let isPath = address.family == .unix && again.count > 2 && again[2] != 0
      #expect(again.prefix(isPath ? count - 1 : count) == bytes.prefix(isPath ? count - 1 : count))
      #expect(try unsafe again.withUnsafeBytes { unsafe try SocketAddress(unsafeBytes: $0) } == address)
    }
    #expect(accepted > 1_000, "seed \(seed)")
  }

  // MARK: Parts

  @Test func `the parts of each family`() throws {
    let four = try SocketAddress("127.0.0.1:80")
    #expect((four.family, four.host, four.port, four.scopeID, four.path) == (.ipv4, "127.0.0.1", 80, nil, nil))
    let six = try SocketAddress("[2001:db8::1]:443")
    #expect((six.family, six.host, six.port, six.scopeID, six.path) == (.ipv6, "2001:db8::1", 443, 0, nil))
    let unix = try SocketAddress.unix("/run/a")
    #expect((unix.family, unix.host, unix.port, unix.scopeID, unix.path) == (.unix, nil, nil, nil, "/run/a"))
    #expect(try SocketAddress.abstract([65]).path == nil)
    #expect(try SocketAddress("unix:").path == nil)
    #expect(try SocketAddress("unix:a\\xff").path == nil, "no UTF-8")
    #expect(four.withPort(81) == (try SocketAddress("127.0.0.1:81")))
  }

  @Test func `loopback and any`() throws {
    #expect(try SocketAddress.loopback(port: 80) == .ip("127.0.0.1", port: 80))
    #expect(try SocketAddress.loopback(port: 80, family: .ipv6) == .ip("::1", port: 80))
    #expect(try SocketAddress.any(port: 0) == .ip("0.0.0.0", port: 0))
    #expect(try SocketAddress.any(port: 0, family: .ipv6) == .ip("::", port: 0))
  }

  /// Of the three kinds: loopback, multicast, unspecified.
  @Test(arguments: [
    ("127.0.0.1", "L"), ("127.255.255.255", "L"), ("128.0.0.1", ""), ("126.255.255.255", ""), ("::1", "L"), ("::2", ""),
    ("::ffff:127.0.0.1", "L"), ("::127.0.0.1", ""), ("1::1", ""), ("224.0.0.0", "M"), ("239.255.255.255", "M"),
    ("240.0.0.0", ""), ("223.255.255.255", ""), ("ff02::1", "M"), ("fe80::1", ""), ("::ffff:224.0.0.1", "M"),
    ("0.0.0.0", "U"), ("0.0.0.1", ""), ("::", "U"), ("::ffff:0.0.0.0", "U"), ("1::", ""),
  ])
  func `what kind of address it is`(_ host: String, _ kinds: String) throws {
    let address = try SocketAddress.ip(host, port: 1)
    let found = [(address.isLoopback, "L"), (address.isMulticast, "M"), (address.isUnspecified, "U")]
    #expect(found.filter(\.0).map(\.1).joined() == kinds, "\(host)")
  }

  @Test func `Unix sockets are of none of these kinds`() throws {
    for address in try [SocketAddress.unix("/a"), .abstract([]), SocketAddress("unix:")] {
      #expect(!address.isLoopback && !address.isMulticast && !address.isUnspecified)
    }
  }

  @Test func `equal are those that name the same place`() throws {
    let texts = [
      "127.0.0.1:80", "127.0.0.1:81", "127.0.0.2:80", "[::ffff:127.0.0.1]:80", "[::1]:80", "[::1]:81", "[::2]:80",
      "[1::1]:80", "[::1%4000000]:80", "/run/a", "/run/b", "unix:run/a", "@run/a", "@/run/a", "unix:", "@",
    ]
    #expect(Set(try texts.map { try SocketAddress($0) }).count == texts.count)
  }

  // MARK: Unix names

  @Test func `L-25 a path that is too long is refused, and never cut`() throws {
    let longest = String(repeating: "x", count: SocketAddress.unixCapacity - 1)
    #expect(try SocketAddress.unix(longest).path == longest)
    #expect(try SocketAddress.abstract(Array(longest.utf8)).description == "@" + longest)
    for make in [
      { try SocketAddress.unix(longest + "x") }, { try SocketAddress.abstract(Array((longest + "x").utf8)) },
      { try SocketAddress("/" + longest) }, { try SocketAddress("@" + longest + "x") },
      // Bytes count, and not characters.
      { try SocketAddress.unix(String(repeating: "ä", count: 54)) },
    ] as [() throws -> SocketAddress] {
      let error = #expect(throws: UVError.self) { _ = try make() }
      #expect(error?.code == .fileNameTooLong)
      #expect(error?.message.contains("108 bytes") == true)
    }
  }

  @Test func `an empty path and one with a zero byte are refused`() throws {
    for path in ["", "\0", "/run/a\0b", "\0abstract"] {
      #expect(throws: UVError.self) { _ = try SocketAddress.unix(path) }
    }
    #expect(try SocketAddress.unix("@a").path == "@a", "a file of that name")
  }

  @Test func `the system's own addresses of Unix sockets are read`() throws {
    var template = Array("/tmp/uvloop-address-XXXXXX".utf8CString)
    let folder = try #require(unsafe mkdtemp(&template).map { unsafe String(cString: $0) })
    defer { unsafe rmdir(folder) }
    let padding = String(repeating: "x", count: SocketAddress.unixCapacity - 1 - folder.utf8.count - 1)
    let addresses =
      try [
        .unix(folder + "/a"), .unix(folder + "/" + padding), .abstract(Array("uvloop \(getpid())".utf8) + [0, 255, 0]),
        // A name of 108 bytes, without a zero byte at its end: the system says that it has one more.
        unsafe Array((sa_family_t(AF_UNIX).littleEndianBytes) + (folder + "/" + padding + "x").utf8).withUnsafeBytes {
          unsafe try SocketAddress(unsafeBytes: $0)
        },
      ] as [SocketAddress]
    for address in addresses {
      let socket = UnixSocket()
      #expect(
        unsafe address.withSockaddr { start, count in unsafe bind(socket.descriptor, start, count) } == 0, "\(address)")
      #expect(try socket.localAddress == address)
      if let path = address.path { unsafe unlink(path) }
    }
    let pair = SocketPair()
    #expect(try UnixSocket.localAddress(of: pair.watched).description == "unix:")
  }

  @Test func `addresses of hosts need no memory of their own`() {
    #expect(MemoryLayout<SocketAddress>.size <= 32)
  }
}

@Suite(.alone) struct SocketAddressTrapTests {
  @Test func `a Unix socket has no loopback and no address for all`() async {
    for make in ["loopback", "any"] {
      let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
        [make = make as String] in
        _ = make == "any" ? SocketAddress.any(port: 1, family: .unix) : .loopback(port: 1, family: .unix)
      }
      #expect(result?.standardErrorText.contains("Name it with SocketAddress.unix(_:).") == true)
    }
  }
}

/// A Unix socket by plain calls of the C library, closed when this goes away.
private final class UnixSocket {
  let descriptor: Int32

  init() {
    #if canImport(Glibc)
      descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #else
      descriptor = socket(AF_UNIX, SOCK_STREAM, 0)
    #endif
  }

  deinit { close(descriptor) }

  var localAddress: SocketAddress { get throws { try Self.localAddress(of: descriptor) } }

  static func localAddress(of descriptor: Int32) throws -> SocketAddress {
    var storage = sockaddr_storage()
    var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = unsafe withUnsafeMutablePointer(to: &storage) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(descriptor, $0, &count) }
    }
    try #require(status == 0)
    // Linux counts one byte more than it has room for, for a path without a zero byte at its end.
    let bytes = unsafe Swift.withUnsafeBytes(of: storage) {
      unsafe Array($0.prefix(min(Int(count), MemoryLayout<sockaddr_un>.size)))
    }
    return try unsafe bytes.withUnsafeBytes { try unsafe SocketAddress(unsafeBytes: $0) }
  }
}

extension FixedWidthInteger {
  fileprivate var littleEndianBytes: [UInt8] { unsafe Swift.withUnsafeBytes(of: littleEndian) { unsafe Array($0) } }
}
