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

/// What becomes of a list of `getaddrinfo`. No name of the machine has 200 addresses, and so the list is built by hand.
@Suite(.sideBySide) struct NameListTests {
  private static let many = (0..<200).map { number in
    SocketAddress(
      number % 3 == 0
        ? .ipv6(IPv6Host(high: 0xfe80 << 48, low: UInt64(number), scopeID: 1), port: 7) : .ipv4(UInt32(number), port: 7)
    )
  }

  @Test func `L-96 a list of 200 addresses gives 200, in its order`() {
    let list = ListByHand(Self.many)
    #expect(unsafe AddressQuery.addresses(in: list.first) == Self.many)
    #expect(unsafe AddressQuery.addresses(in: nil) == [])
  }

  @Test func `L-38 what is no address of a host is left out, and what comes twice is kept`() throws {
    let twice = [Self.many[0], Self.many[1], Self.many[0]]
    let list = ListByHand([twice[0], try .unix("/a"), twice[1], twice[2]])
    #expect(unsafe AddressQuery.addresses(in: list.first) == twice)
  }
}

/// A list as `getaddrinfo` gives it.
@safe private final class ListByHand {
  private let entries: UnsafeMutableBufferPointer<addrinfo>
  private let storage: UnsafeMutableBufferPointer<sockaddr_storage>

  init(_ addresses: [SocketAddress]) {
    unsafe entries = .allocate(capacity: addresses.count)
    unsafe storage = .allocate(capacity: addresses.count)
    unsafe entries.initialize(repeating: addrinfo())
    unsafe storage.initialize(repeating: sockaddr_storage())
    for (index, address) in addresses.enumerated() {
      let place = unsafe UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: storage[index...index]))
      unsafe address.withUnsafeBytes { bytes in
        unsafe place.copyMemory(from: bytes)
        unsafe entries[index].ai_addrlen = socklen_t(bytes.count)
      }
      unsafe entries[index].ai_family = address.rawFamily
      unsafe entries[index].ai_addr = place.baseAddress?.assumingMemoryBound(to: sockaddr.self)
      if index > 0 { unsafe entries[index - 1].ai_next = entries.baseAddress?.advanced(by: index) }
    }
  }

  deinit {
    unsafe entries.deallocate()
    unsafe storage.deallocate()
  }

  var first: UnsafePointer<addrinfo>? { unsafe UnsafePointer(entries.baseAddress) }
}
