@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// What tests of servers need of a plain peer besides single calls.

extension PlainSocket {
  /// Sends these bytes and receives as many, both at once: an echo gives back what it is sent, and waits for whoever
  /// does not take it.
  func exchange(_ bytes: [UInt8]) throws -> [UInt8] {
    var sent = 0
    var received: [UInt8] = []
    while received.count < bytes.count {
      var hasMoved = false
      if sent < bytes.count, let count = try sendNow(bytes[sent...]) {
        sent += count
        hasMoved = true
      }
      if let part = try receiveNow() {
        if part.isEmpty { break }
        received += part
        hasMoved = true
      }
      if !hasMoved {
        let events = sent < bytes.count ? Int32(POLLIN) | Int32(POLLOUT) : Int32(POLLIN)
        try waitPlainly(descriptor, for: events, "exchange")
      }
    }
    return received
  }

  /// A text and the answer to it, which is as long.
  func exchange(_ text: String) throws -> String { String(decoding: try exchange(Array(text.utf8)), as: UTF8.self) }

  /// Its own end, as the library sees it from the other side.
  var ownAddress: SocketAddress? {
    let address = unsafe PlainAddress { unsafe getsockname(descriptor, $0, $1) }
    return try? address?.address
  }
}

extension SocketAddress {
  /// For a plain peer.
  var plain: PlainAddress { unsafe withUnsafeBytes { unsafe PlainAddress(bytes: Array($0)) } }
}

extension PlainAddress {
  /// For the library.
  var address: SocketAddress {
    get throws { try unsafe bytes.withUnsafeBytes { try unsafe SocketAddress(unsafeBytes: $0) } }
  }

  /// The same port at another of the loopback's addresses, of which Linux has 16 million without being asked.
  func at127(_ last: UInt8) -> PlainAddress {
    var bytes = bytes
    bytes[7] = last
    return PlainAddress(bytes: bytes)
  }
}

/// An address that never answers: its queue is full, and nobody accepts.
final class SilentListener: Sendable {
  private let listener: PlainListener
  private let filler: PlainSocket

  init(on address: PlainAddress = .ipv4()) throws {
    listener = try PlainListener(on: address, backlog: 0)
    filler = try PlainSocket(connectingTo: listener.address)
  }

  var address: SocketAddress { get throws { try listener.address.address } }

  /// Makes room for one more.
  func acceptOne() throws -> PlainSocket { try listener.accept() }
}

/// A path of its own for a Unix socket, and a folder around it that goes away afterwards with all that is in it.
func withSocketPath<R>(_ body: (_ path: String) async throws -> R) async throws -> R {
  try await withScratchFolder { try await body("\($0)/socket") }
}
