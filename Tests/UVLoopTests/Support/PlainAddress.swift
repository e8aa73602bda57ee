#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The bytes of a `sockaddr`, made without the library.
struct PlainAddress: Hashable, Sendable, CustomStringConvertible {
  let bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// What a call of the system fills in; nil where it fails.
  init?(filledBy call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) {
    // A `sockaddr_storage` has so many bytes.
    var bytes = [UInt8](repeating: 0, count: 128)
    var size = socklen_t(bytes.count)
    let status = unsafe bytes.withUnsafeMutableBytes { room in
      unsafe call(room.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: sockaddr.self), &size)
    }
    if status != 0 { return nil }
    self.init(bytes: Array(bytes.prefix(Int(size))))
  }

  /// 127.0.0.1; with port 0 a listener gets a free one.
  static func ipv4(port: UInt16 = 0) -> PlainAddress {
    var address = sockaddr_in()
    #if canImport(Darwin)
      address.sin_len = UInt8(MemoryLayout<sockaddr_in>.size)
    #endif
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return unsafe withUnsafeBytes(of: &address) { unsafe PlainAddress(bytes: Array($0)) }
  }

  /// ::1; with port 0 a listener gets a free one.
  static func ipv6(port: UInt16 = 0) -> PlainAddress {
    var address = sockaddr_in6()
    #if canImport(Darwin)
      address.sin6_len = UInt8(MemoryLayout<sockaddr_in6>.size)
    #endif
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    address.sin6_addr = in6addr_loopback
    return unsafe withUnsafeBytes(of: &address) { unsafe PlainAddress(bytes: Array($0)) }
  }

  /// A path that does not exist yet, or that somebody listens at.
  static func unix(_ path: String) -> PlainAddress { unix(name: Array(path.utf8) + [0]) }

  /// Of Linux's abstract names.
  static func abstract(_ name: String) -> PlainAddress { unix(name: [0] + Array(name.utf8)) }

  private static func unix(name: [UInt8]) -> PlainAddress {
    precondition(name.count <= MemoryLayout<sockaddr_un>.size - 2, "A name of \(name.count) bytes is too long.")
    #if canImport(Darwin)
      return PlainAddress(bytes: [UInt8(2 + name.count), UInt8(AF_UNIX)] + name)
    #else
      let family = unsafe withUnsafeBytes(of: sa_family_t(AF_UNIX)) { unsafe Array($0) }
      return PlainAddress(bytes: family + name)
    #endif
  }

  var family: Int32 {
    #if canImport(Darwin)
      Int32(bytes[1])
    #else
      unsafe bytes.withUnsafeBytes { unsafe Int32($0.loadUnaligned(as: sa_family_t.self)) }
    #endif
  }

  /// Of IPv4 or IPv6, else 0.
  var port: UInt16 { family == AF_UNIX ? 0 : UInt16(bytes[2]) << 8 | UInt16(bytes[3]) }

  /// Of a Unix socket that has one.
  var path: String? {
    family == AF_UNIX && bytes[2] != 0 ? String(decoding: bytes.dropFirst(2).prefix { $0 != 0 }, as: UTF8.self) : nil
  }

  var description: String {
    switch family {
    case AF_INET: "127.0.0.1:\(port)"
    case AF_INET6: "[::1]:\(port)"
    default: path ?? "@" + String(decoding: bytes.dropFirst(3), as: UTF8.self)
    }
  }

  func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    unsafe bytes.withUnsafeBytes { buffer in
      guard let start = unsafe buffer.baseAddress?.assumingMemoryBound(to: sockaddr.self) else {
        preconditionFailure("An address has bytes.")
      }
      return unsafe body(start, socklen_t(buffer.count))
    }
  }
}
