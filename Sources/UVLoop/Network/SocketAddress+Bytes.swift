import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension SocketAddress {
  /// Lends the bytes of a `sockaddr`, for C: a `sockaddr_in`, a `sockaddr_in6`, or a `sockaddr_un` that ends where its
  /// name ends. Their count is the length that C functions ask for.
  ///
  /// A path ends with a zero byte, an abstract name does not, and an unnamed address has only its family.
  ///
  /// > Ownership: The bytes are valid until `body` returns.
  public func withUnsafeBytes<R, E>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    switch name {
    case .ipv4(let host, let port):
      var address = sockaddr_in()
      #if canImport(Darwin)
        address.sin_len = UInt8(MemoryLayout<sockaddr_in>.size)
      #endif
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = host.bigEndian
      return try unsafe Swift.withUnsafeBytes(of: &address, body)
    case .ipv6(let host, let port):
      var address = sockaddr_in6()
      #if canImport(Darwin)
        address.sin6_len = UInt8(MemoryLayout<sockaddr_in6>.size)
      #endif
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      address.sin6_flowinfo = host.flowInfo
      address.sin6_addr = host.octets
      address.sin6_scope_id = host.scopeID
      return try unsafe Swift.withUnsafeBytes(of: &address, body)
    case .unix(let bytes):
      var address = sockaddr_un()
      let isPath = bytes.first.map { $0 != 0 } ?? false
      // A path of the system's own may fill the field, and then has no zero at its end.
      let count = Self.unixOffset + min(bytes.count + (isPath ? 1 : 0), Self.unixCapacity)
      #if canImport(Darwin)
        address.sun_len = UInt8(count)
      #endif
      address.sun_family = sa_family_t(AF_UNIX)
      unsafe Swift.withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
      return try unsafe Swift.withUnsafeBytes(of: &address) { (all) throws(E) -> R in
        try unsafe body(UnsafeRawBufferPointer(rebasing: all[..<count]))
      }
    }
  }

  /// Reads the bytes of a `sockaddr`, as C functions fill it in. The bytes are copied, and need no alignment.
  ///
  /// For Unix sockets pass exactly as many bytes as C reported: on Linux the count alone says where an abstract name
  /// ends, and that a socket has no name.
  ///
  /// - Throws: ``UVError/Code/addressFamilyNotSupported`` if it is neither IPv4, IPv6 nor Unix;
  ///   ``UVError/Code/invalidArgument`` if there are fewer bytes than the family needs;
  ///   ``UVError/Code/fileNameTooLong`` if a Unix name has more than the system allows.
  public init(unsafeBytes: UnsafeRawBufferPointer) throws(UVError) {
    let count = unsafeBytes.count
    if count < Self.unixOffset { throw Self.tooShort(count, for: "an address") }
    let family = unsafe unsafeBytes.loadUnaligned(
      fromByteOffset: MemoryLayout<sockaddr>.offset(of: \.sa_family) ?? 0, as: sa_family_t.self)
    switch Int32(family) {
    case AF_INET:
      if count < MemoryLayout<sockaddr_in>.size { throw Self.tooShort(count, for: "an IPv4 address") }
      let address = unsafe unsafeBytes.loadUnaligned(as: sockaddr_in.self)
      self.init(.ipv4(UInt32(bigEndian: address.sin_addr.s_addr), port: UInt16(bigEndian: address.sin_port)))
    case AF_INET6:
      if count < MemoryLayout<sockaddr_in6>.size { throw Self.tooShort(count, for: "an IPv6 address") }
      let address = unsafe unsafeBytes.loadUnaligned(as: sockaddr_in6.self)
      let host = IPv6Host(address.sin6_addr, scopeID: address.sin6_scope_id, flowInfo: address.sin6_flowinfo)
      self.init(.ipv6(host, port: UInt16(bigEndian: address.sin6_port)))
    case AF_UNIX:
      var bytes = unsafe Array(unsafeBytes.dropFirst(Self.unixOffset))
      // Only on Linux does a leading zero begin a name. Elsewhere, and in a path, it ends one.
      if !Self.hasAbstractNames || bytes.first != 0, let end = bytes.firstIndex(of: 0) {
        bytes.removeSubrange(end...)
      }
      if bytes.count > Self.unixCapacity {
        throw UVError(
          .fileNameTooLong, call: "SocketAddress.init",
          "The name of a Unix socket has \(bytes.count) bytes, and at most \(Self.unixCapacity) fit.")
      }
      self.init(.unix(bytes))
    default:
      throw UVError(
        .addressFamilyNotSupported, call: "SocketAddress.init",
        "The bytes are of the address family \(family), and only IPv4, IPv6 and Unix sockets are known.")
    }
  }

  private static func tooShort(_ count: Int, for what: String) -> UVError {
    UVError(
      .invalidArgument, call: "SocketAddress.init", "\(count) bytes are too few for \(what) in a sockaddr.")
  }
}

// MARK: - For the library's own calls

extension SocketAddress {
  /// `AF_INET`, `AF_INET6` or `AF_UNIX`.
  var rawFamily: Int32 {
    switch name {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    case .unix: AF_UNIX
    }
  }

  /// Lends the address as system calls and libuv want it. The pointer is valid until `body` returns.
  func withSockaddr<R, E>(_ body: (UnsafePointer<sockaddr>, socklen_t) throws(E) -> R) throws(E) -> R {
    try unsafe withUnsafeBytes { (bytes) throws(E) -> R in
      guard let start = bytes.baseAddress else { fatalError("UVLoop: an address has no bytes.") }
      return try unsafe body(start.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
  }

  /// Reads an address of `count` bytes.
  init(_ address: UnsafePointer<sockaddr>, count: Int) throws(UVError) {
    try unsafe self.init(unsafeBytes: UnsafeRawBufferPointer(start: address, count: count))
  }

  /// Where the name begins in a `sockaddr_un`, and how many bytes fit.
  private static var unixOffset: Int { MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2 }
  static var unixCapacity: Int { MemoryLayout<sockaddr_un>.size - unixOffset }
}

extension IPv6Host {
  init(_ octets: in6_addr, scopeID: UInt32 = 0, flowInfo: UInt32 = 0) {
    (high, low) = unsafe Swift.withUnsafeBytes(of: octets) {
      unsafe (
        UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
        UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
    self.scopeID = scopeID
    self.flowInfo = flowInfo
  }

  /// As C has it.
  var octets: in6_addr {
    var octets = in6_addr()
    unsafe Swift.withUnsafeMutableBytes(of: &octets) { bytes in
      unsafe bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
      unsafe bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    return octets
  }
}
