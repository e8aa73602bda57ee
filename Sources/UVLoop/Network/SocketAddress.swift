/// Where a socket is: an IPv4 or IPv6 address with a port, or the name of a Unix socket. A value; nothing is looked up.
///
/// ```swift
/// let server = try SocketAddress("127.0.0.1:8080")
/// let printer = try SocketAddress("[fe80::1%eth0]:631")
/// let database = try SocketAddress.unix("/run/postgresql/.s.PGSQL.5432")
/// ```
///
/// Two addresses are equal when they name the same place: host, port and scope id, or the bytes of the Unix name. An
/// IPv4 address and the IPv6 address that maps it (`::ffff:127.0.0.1`) are different. The flow information of IPv6,
/// which says how packets travel and not where to, is kept for ``withUnsafeBytes(_:)`` and is not compared.
///
/// A Unix socket that was never bound, such as the client's end of most connections, has the *unnamed* address: its
/// family is ``Family/unix``, its ``path`` is `nil`, and it prints as `unix:`.
///
/// IPv4 and IPv6 addresses allocate no memory.
///
/// > libuv: `struct sockaddr` in all of its calls.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  let name: Name

  /// The kinds of addresses.
  public enum Family: Hashable, Sendable {
    /// `AF_INET`: four bytes and a port.
    case ipv4
    /// `AF_INET6`: sixteen bytes, a port and a scope id.
    case ipv6
    /// `AF_UNIX`: a path, a name of Linux's abstract ones, or none.
    case unix
  }

  /// What an address is made of, in the order of bytes of this machine.
  enum Name: Hashable, Sendable {
    case ipv4(UInt32, port: UInt16)
    case ipv6(IPv6Host, port: UInt16)
    /// The bytes of `sun_path`: empty for an unnamed socket, with a leading zero for an abstract name, else a path.
    case unix([UInt8])
  }

  init(_ name: Name) { self.name = name }
}

/// An IPv6 address without its port.
struct IPv6Host: Hashable, Sendable {
  var high: UInt64
  var low: UInt64
  var scopeID: UInt32 = 0
  var flowInfo: UInt32 = 0

  /// The IPv4 address that `::ffff:0:0/96` maps.
  var mapped: UInt32? { high == 0 && low >> 32 == 0xffff ? UInt32(truncatingIfNeeded: low) : nil }

  /// Without the flow information: no text has it, and it names no other place.
  static func == (one: IPv6Host, other: IPv6Host) -> Bool {
    one.high == other.high && one.low == other.low && one.scopeID == other.scopeID
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(high)
    hasher.combine(low)
    hasher.combine(scopeID)
  }
}

// MARK: - Makers

extension SocketAddress {
  /// The address of a numeric host: `127.0.0.1`, `::1` or `fe80::1%eth0`. For names use
  /// ``EventLoop/resolve(_:port:service:family:)``.
  ///
  /// An IPv4 address is four decimal numbers without leading zeros. Other forms that C accepts, such as `127.1` or
  /// `0x7f000001`, are refused.
  ///
  /// - Parameters:
  ///   - host: Without brackets. An IPv6 address may be followed by `%` and an interface, by name or number.
  ///   - port: Zero lets the system choose one when a socket is bound.
  ///   - scopeID: The number of the interface that an IPv6 address belongs to; zero for none, or for the one in `host`.
  /// - Throws: ``UVError/Code/invalidArgument`` if `host` is not a numeric address, if it and `scopeID` name different
  ///   interfaces, or if an IPv4 address gets a scope id; the system's code for an interface that it does not have:
  ///   ``UVError/Code/operationNotSupportedByDevice`` on Linux, ``UVError/Code/noSuchAddressOrDevice`` elsewhere.
  ///
  /// > libuv: `uv_inet_pton`. Unlike `uv_ip6_addr` it does not ignore an interface that does not exist.
  public static func ip(_ host: String, port: UInt16, scopeID: UInt32 = 0) throws(UVError) -> SocketAddress {
    try SocketAddress(host: host, port: port, scopeID: scopeID, call: "SocketAddress.ip")
  }

  /// The address of a Unix socket in the file system.
  ///
  /// The path is used as it is, absolute or relative. No file is looked at, and `@` has no special meaning.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` if it is empty or has a zero byte; ``UVError/Code/fileNameTooLong`` if
  ///   it has more bytes than the system allows: 107 on Linux, 103 on macOS.
  public static func unix(_ path: String) throws(UVError) -> SocketAddress {
    try SocketAddress(path: Array(path.utf8), call: "SocketAddress.unix")
  }

  /// The address of a Unix socket in Linux's abstract namespace, which has no files.
  ///
  /// - Parameter name: At most 107 bytes of any value, zeros too; all of them count. The empty name is a name as well.
  /// - Throws: ``UVError/Code/fileNameTooLong`` for a longer one; ``UVError/Code/notSupported`` on other systems.
  public static func abstract(_ name: [UInt8]) throws(UVError) -> SocketAddress {
    try SocketAddress(abstract: name, call: "SocketAddress.abstract")
  }

  /// The address by which this machine reaches itself: `127.0.0.1` or `::1`.
  ///
  /// - Parameters:
  ///   - port: Zero lets the system choose one when a socket is bound.
  ///   - family: IPv4 or IPv6. ``Family/unix`` has no such address, and traps.
  public static func loopback(port: UInt16, family: Family = .ipv4) -> SocketAddress {
    ip(family, port, ipv4: 0x7f00_0001, ipv6: 1)
  }

  /// The address that stands for all of this machine's, to bind a socket to: `0.0.0.0` or `::`.
  ///
  /// - Parameters:
  ///   - port: Zero lets the system choose one when a socket is bound.
  ///   - family: IPv4 or IPv6. ``Family/unix`` has no such address, and traps.
  public static func any(port: UInt16, family: Family = .ipv4) -> SocketAddress {
    ip(family, port, ipv4: 0, ipv6: 0)
  }

  private static func ip(_ family: Family, _ port: UInt16, ipv4: UInt32, ipv6: UInt64) -> SocketAddress {
    switch family {
    case .ipv4: SocketAddress(.ipv4(ipv4, port: port))
    case .ipv6: SocketAddress(.ipv6(IPv6Host(high: 0, low: ipv6), port: port))
    case .unix: fatalError("UVLoop: a Unix socket has no port. Name it with SocketAddress.unix(_:).")
    }
  }

  /// The same place at another port. A Unix socket has none.
  func withPort(_ port: UInt16) -> SocketAddress {
    switch name {
    case .ipv4(let host, _): SocketAddress(.ipv4(host, port: port))
    case .ipv6(let host, _): SocketAddress(.ipv6(host, port: port))
    case .unix: self
    }
  }

  init(path: [UInt8], call: @autoclosure () -> String) throws(UVError) {
    if path.isEmpty {
      throw UVError(.invalidArgument, call: call(), "The path of a Unix socket is empty.")
    }
    if path.contains(0) {
      throw UVError(
        .invalidArgument, call: call(), "The path of a Unix socket has a zero byte, at which the system would cut it.")
    }
    // One byte is for the zero at its end. Linux accepts a path without it, but many programs cannot read that.
    let limit = Self.unixCapacity - 1
    if path.count > limit {
      throw UVError(
        .fileNameTooLong, call: call(),
        "The path of a Unix socket has \(path.count) bytes, and at most \(limit) fit. Use a shorter or a relative one.")
    }
    self.init(.unix(path))
  }

  init(abstract name: [UInt8], call: @autoclosure () -> String) throws(UVError) {
    if !Self.hasAbstractNames {
      throw UVError(.notSupported, call: call(), "Only Linux has abstract names of Unix sockets. Use a path.")
    }
    let limit = Self.unixCapacity - 1
    if name.count > limit {
      throw UVError(
        .fileNameTooLong, call: call(), "The abstract name has \(name.count) bytes, and at most \(limit) fit.")
    }
    self.init(.unix([0] + name))
  }

  static var hasAbstractNames: Bool {
    #if os(Linux) || os(Android)
      true
    #else
      false
    #endif
  }
}

// MARK: - Parts

extension SocketAddress {
  /// Which kind of address it is.
  public var family: Family {
    switch name {
    case .ipv4: .ipv4
    case .ipv6: .ipv6
    case .unix: .unix
    }
  }

  /// The port, or `nil` for a Unix socket.
  public var port: UInt16? {
    switch name {
    case .ipv4(_, let port), .ipv6(_, let port): port
    case .unix: nil
    }
  }

  /// The number of the interface that an IPv6 address belongs to, zero for none; `nil` for other families.
  ///
  /// Addresses of one link (`fe80::/10`) mean nothing without it.
  public var scopeID: UInt32? {
    if case .ipv6(let host, _) = name { host.scopeID } else { nil }
  }

  /// The path of a Unix socket in the file system; `nil` for other families, abstract names, unnamed sockets, and paths
  /// that are not UTF-8.
  public var path: String? {
    guard case .unix(let bytes) = name, let first = bytes.first, first != 0 else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }

  /// Whether the host is `::1` or in `127.0.0.0/8`, also mapped into IPv6. False for Unix sockets.
  public var isLoopback: Bool {
    switch name {
    case .ipv4(let host, _): host >> 24 == 127
    case .ipv6(let host, _): host.mapped.map { $0 >> 24 == 127 } ?? (host.high == 0 && host.low == 1)
    case .unix: false
    }
  }

  /// Whether the host is in `ff00::/8` or `224.0.0.0/4`, also mapped into IPv6. False for Unix sockets.
  public var isMulticast: Bool {
    switch name {
    case .ipv4(let host, _): host >> 28 == 0xe
    case .ipv6(let host, _): host.mapped.map { $0 >> 28 == 0xe } ?? (host.high >> 56 == 0xff)
    case .unix: false
    }
  }

  /// Whether the host is that of ``any(port:family:)``: `::` or `0.0.0.0`, also mapped into IPv6. False for Unix
  /// sockets.
  public var isUnspecified: Bool {
    switch name {
    case .ipv4(let host, _): host == 0
    case .ipv6(let host, _): host.high == 0 && (host.low == 0 || host.mapped == 0)
    case .unix: false
    }
  }
}
