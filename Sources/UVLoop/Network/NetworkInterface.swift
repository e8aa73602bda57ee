import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An interface of this machine, as the options of multicast want it: those of IPv4 by an address of it, and those of
/// IPv6 by its number, which libuv reads as a zone.
struct NetworkInterface {
  let name: String

  /// - Parameter text: Its name, or an address of it.
  init(_ text: String, _ call: @autoclosure () -> String) throws(UVError) {
    do throws(UVError) {
      name = try NetworkInterface.name(ofOwnerOf: try SocketAddress.ip(text, port: 0), call())
    } catch {
      if error.code == .addressNotAvailable { throw error }
      // C reads up to a zero byte, and would see another name.
      if unsafe text.isEmpty || text.utf8.contains(0) || if_nametoindex(text) == 0 {
        throw UVError(
          .noSuchAddressOrDevice, call: call(),
          "There is no interface \"\(text)\". Give the name of one, such as lo or eth0, or an address of one.")
      }
      name = text
    }
  }

  /// - Parameter index: Its number, as in the scope of an address.
  init(index: UInt32, _ call: @autoclosure () -> String) throws(UVError) {
    var room = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    if unsafe if_indextoname(index, &room) == nil {
      throw UVError(.noSuchAddressOrDevice, call: call(), "There is no interface with the number \(index).")
    }
    name = String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// As libuv wants it for a family.
  func text(for family: SocketAddress.Family, _ call: @autoclosure () -> String) throws(UVError) -> String {
    if family == .ipv6 { return "::%\(name)" }
    let address = NetworkInterface.addresses.first { $0.name == name && $0.address.family == .ipv4 }
    if let host = address?.address.host { return host }
    throw UVError(
      .addressNotAvailable, call: call(),
      "Interface \(name) has no IPv4 address, and by that the system knows it for IPv4. Give it one, or use IPv6.")
  }

  private static func name(ofOwnerOf address: SocketAddress, _ call: @autoclosure () -> String) throws(UVError)
    -> String
  {
    let scope = address.scopeID ?? 0
    let owner = addresses.first {
      $0.address.host == address.host && (scope == 0 || $0.address.scopeID == scope)
    }
    if let owner { return owner.name }
    throw UVError(
      .addressNotAvailable, call: call(), "No interface of this machine has the address \(address.host ?? "").")
  }

  /// Those of all interfaces, with their names.
  private static var addresses: [(name: String, address: SocketAddress)] {
    var first: UnsafeMutablePointer<ifaddrs>?
    if unsafe getifaddrs(&first) != 0 { return [] }
    defer { unsafe freeifaddrs(first) }
    var found: [(name: String, address: SocketAddress)] = []
    var next = unsafe first
    while let entry = unsafe next {
      unsafe next = entry.pointee.ifa_next
      guard let name = unsafe entry.pointee.ifa_name, let address = unsafe entry.pointee.ifa_addr else { continue }
      let size: Int
      switch unsafe Int32(address.pointee.sa_family) {
      case AF_INET: size = MemoryLayout<sockaddr_in>.size
      case AF_INET6: size = MemoryLayout<sockaddr_in6>.size
      default: continue
      }
      if let address = try? unsafe SocketAddress(address, count: size) {
        // An address of IPv4 may have a label of its own, such as `eth0:1`.
        found.append((unsafe String(String(cString: name).prefix { $0 != ":" }), address))
      }
    }
    return found
  }
}
