// The text of an address, in and out. What `description` prints, `init(_:)` reads:
//
//   127.0.0.1:80                      IPv4
//   [fe80::1%eth0]:80                 IPv6; the interface by name, or by number if it has none
//   /run/a.sock                       an absolute path
//   unix:run/a.sock                   a relative one, which would otherwise look like anything
//   @name                             a name of Linux's abstract ones
//   unix:                             an unnamed socket
//
// In Unix names a backslash begins an escape, `\xHH` or `\\`.

import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension SocketAddress {
  /// Parses what ``description`` prints: `127.0.0.1:80`, `[fe80::1%eth0]:80`, `/run/a.sock`, `@abstract`.
  ///
  /// A relative path needs `unix:` in front. Any Unix name may have it, and `unix:` alone is the unnamed address. In
  /// Unix names `\x0a` is a byte in two hexadecimal digits, and `\\` is a backslash; ``unix(_:)`` takes a path without
  /// escapes. Only the names of interfaces are looked up.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for anything else, such as a host name, a missing port, or IPv6 without
  ///   brackets; what ``ip(_:port:scopeID:)``, ``unix(_:)`` and ``abstract(_:)`` throw.
  public init(_ text: String) throws(UVError) {
    let bytes = Array(text.utf8)
    if bytes.starts(with: "unix:".utf8) {
      self = try Self.unix(in: bytes.dropFirst(5), of: text)
    } else if bytes.first == UInt8(ascii: "/") || bytes.first == UInt8(ascii: "@") {
      self = try Self.unix(in: bytes[...], of: text)
    } else {
      self = try Self.ip(in: bytes[...], of: text)
    }
  }

  /// The address as text, which ``init(_:)`` reads: `127.0.0.1:80`, `[fe80::1%eth0]:80`, `/run/a.sock`, `@abstract`.
  ///
  /// In Unix names backslashes, control characters, invisible characters, and bytes that are not UTF-8 are escaped, so
  /// that the text is always one line. A relative path has `unix:` in front, and an unnamed socket is `unix:`.
  ///
  /// > libuv: `uv_inet_ntop`; interfaces by the C library's `if_indextoname`, a system call.
  public var description: String {
    switch name {
    case .ipv4(_, let port): "\(host ?? ""):\(port)"
    case .ipv6(let address, let port): "[\(host ?? "")\(Self.zone(address.scopeID))]:\(port)"
    case .unix(let bytes):
      switch bytes.first {
      case 0: "@" + Self.escape(bytes.dropFirst(), alsoFirst: nil)
      case UInt8(ascii: "/"): Self.escape(bytes[...], alsoFirst: nil)
      // `unix:@name` is an abstract one.
      default: "unix:" + Self.escape(bytes[...], alsoFirst: UInt8(ascii: "@"))
      }
    }
  }

  /// The host in numbers, without brackets, port and scope: `127.0.0.1`, `fe80::1`; `nil` for a Unix socket.
  ///
  /// > libuv: `uv_inet_ntop`.
  public var host: String? {
    switch name {
    case .ipv4(let host, _): Self.text(of: in_addr(s_addr: host.bigEndian), AF_INET)
    case .ipv6(let host, _): Self.text(of: host.octets, AF_INET6)
    case .unix: nil
    }
  }
}

// MARK: - IP

extension SocketAddress {
  /// Reads a numeric host, which may have a scope.
  init(host: String, port: UInt16, scopeID: UInt32 = 0, call: @autoclosure () -> String) throws(UVError) {
    // C reads up to a zero byte, and would see another host.
    let parts = host.utf8.split(separator: UInt8(ascii: "%"), maxSplits: 1, omittingEmptySubsequences: false)
    guard !host.utf8.contains(0), let address = parts.first.flatMap({ String($0) }) else {
      throw Self.notNumeric(host, call())
    }
    if parts.count == 1, let octets = Self.octets(in_addr(), of: address, AF_INET) {
      if scopeID != 0 {
        throw UVError(.invalidArgument, call: call(), "\(host) is an IPv4 address, which has no scope id.")
      }
      self.init(.ipv4(UInt32(bigEndian: octets.s_addr), port: port))
      return
    }
    guard let octets = Self.octets(in6_addr(), of: address, AF_INET6) else { throw Self.notNumeric(host, call()) }
    var scope = scopeID
    if parts.count == 2 {
      scope = try Self.scope(String(parts[1]) ?? "", of: host, call())
      if scopeID != 0 && scopeID != scope {
        throw UVError(
          .invalidArgument, call: call(), "\(host) belongs to the interface \(scope), and not to \(scopeID).")
      }
    }
    self.init(.ipv6(IPv6Host(octets, scopeID: scope), port: port))
  }

  private static func ip(in bytes: ArraySlice<UInt8>, of text: String) throws(UVError) -> SocketAddress {
    guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")) else {
      throw malformed(text, "has no port. Write \(text.isEmpty ? "127.0.0.1" : text):80, say.")
    }
    var host = bytes[..<colon]
    let digits = bytes[(colon + 1)...]
    // No signs and no spaces, which initialisers of numbers, and C, let pass.
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let port = UInt16(String(decoding: digits, as: UTF8.self))
    else {
      throw malformed(text, "has no port after its last colon: that is a number of 0 to 65535.")
    }
    let isBracketed = host.first == UInt8(ascii: "[") && host.last == UInt8(ascii: "]")
    if isBracketed {
      host = host.dropFirst().dropLast()
    } else if host.contains(UInt8(ascii: ":")) {
      throw malformed(text, "has more than one colon. Write IPv6 in brackets: [::1]:80.")
    }
    let address = try SocketAddress(host: String(decoding: host, as: UTF8.self), port: port, call: "SocketAddress.init")
    if isBracketed && address.family != .ipv6 { throw malformed(text, "has an IPv4 address in brackets.") }
    return address
  }

  private static func malformed(_ text: String, _ what: String) -> UVError {
    UVError(.invalidArgument, call: "SocketAddress.init", "\"\(text)\" \(what)")
  }

  private static func notNumeric(_ host: String, _ call: String) -> UVError {
    UVError(
      .invalidArgument, call: call,
      "\"\(host)\" is not a numeric address such as 127.0.0.1 or fe80::1%eth0. Look names up with EventLoop.resolve.")
  }

  /// The bytes of a numeric host, which has no zero byte.
  private static func octets<Octets>(_ empty: Octets, of host: String, _ family: Int32) -> Octets? {
    var octets = empty
    let status = unsafe Swift.withUnsafeMutableBytes(of: &octets) { unsafe uv_inet_pton(family, host, $0.baseAddress) }
    return status == 0 ? octets : nil
  }

  private static func text<Octets>(of octets: Octets, _ family: Int32) -> String {
    var octets = octets
    // INET6_ADDRSTRLEN is 46 on every system.
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      let status = unsafe Swift.withUnsafeBytes(of: &octets) {
        unsafe uv_inet_ntop(family, $0.baseAddress, buffer.baseAddress, buffer.count)
      }
      if status != 0 { return "" }
      return unsafe buffer.baseAddress.map { unsafe String(cString: $0) } ?? ""
    }
  }
}

// MARK: - Scopes

extension SocketAddress {
  /// The number of an interface by its name, or by its number where none has that name.
  private static func scope(_ zone: String, of host: String, _ call: String) throws(UVError) -> UInt32 {
    let index = unsafe if_nametoindex(zone)
    if index != 0 { return index }
    let error = Posix.errno
    if !zone.isEmpty, zone.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
      if let number = UInt32(zone) { return number }
    }
    throw UVError(
      status: -error, call: call, hint: "\(host) has to name a network interface after the %, by name or number.")
  }

  /// The part after an IPv6 host.
  private static func zone(_ scopeID: UInt32) -> String {
    if scopeID == 0 { return "" }
    let name = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(IF_NAMESIZE)) { buffer in
      unsafe buffer.baseAddress.flatMap { unsafe if_indextoname(scopeID, $0) }.flatMap {
        unsafe String(validatingCString: $0)
      }
    }
    // Linux lets names have any bytes but spaces, slashes and colons.
    guard let name, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return "%\(scopeID)" }
    return "%\(name)"
  }
}

// MARK: - Unix names

extension SocketAddress {
  private static func unix(in bytes: ArraySlice<UInt8>, of text: String) throws(UVError) -> SocketAddress {
    guard let first = bytes.first else { return SocketAddress(.unix([])) }
    if first == UInt8(ascii: "@") {
      return try SocketAddress(abstract: unescape(bytes.dropFirst(), of: text), call: "SocketAddress.init")
    }
    return try SocketAddress(path: unescape(bytes, of: text), call: "SocketAddress.init")
  }

  private static func unescape(_ bytes: ArraySlice<UInt8>, of text: String) throws(UVError) -> [UInt8] {
    var result: [UInt8] = []
    var rest = bytes
    while let byte = rest.popFirst() {
      if byte != UInt8(ascii: "\\") {
        result.append(byte)
      } else if rest.first == UInt8(ascii: "\\") {
        result.append(rest.removeFirst())
      } else if rest.first == UInt8(ascii: "x"), rest.count > 2,
        let escaped = hexadecimal(rest[rest.startIndex + 1], rest[rest.startIndex + 2])
      {
        result.append(escaped)
        rest = rest.dropFirst(3)
      } else {
        throw malformed(text, "has a backslash that begins neither \\xHH nor \\\\.")
      }
    }
    return result
  }

  private static func hexadecimal(_ high: UInt8, _ low: UInt8) -> UInt8? {
    guard let high = Character(Unicode.Scalar(high)).hexDigitValue,
      let low = Character(Unicode.Scalar(low)).hexDigitValue
    else { return nil }
    return UInt8(high << 4 | low)
  }

  /// - Parameter first: A byte that is escaped where the name begins with it.
  private static func escape(_ bytes: ArraySlice<UInt8>, alsoFirst first: UInt8?) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return bytes.enumerated().map { index, byte in
        byte < 0x80 && !isEscaped(Unicode.Scalar(byte)) && !(index == 0 && byte == first)
          ? String(Unicode.Scalar(byte)) : escape(byte)
      }.joined()
    }
    return text.unicodeScalars.enumerated().map { index, scalar in
      isEscaped(scalar) || index == 0 && first.map { scalar == Unicode.Scalar($0) } ?? false
        ? String(scalar).utf8.map(escape).joined() : String(scalar)
    }.joined()
  }

  private static func isEscaped(_ scalar: Unicode.Scalar) -> Bool {
    if scalar == "\\" { return true }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: return true
    default: return false
    }
  }

  private static func escape(_ byte: UInt8) -> String {
    byte == UInt8(ascii: "\\") ? "\\\\" : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }
}
