@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A listening socket of the test's own, for what connects by the library.
///
/// `accept` blocks the thread, for a minute at most. It is closed when it goes away, and the path of a Unix
/// socket is removed.
final class PlainListener: @unchecked Sendable {  // Holds because one thread at a time uses it.
  private(set) var descriptor: Int32
  /// Where to connect to: the port is that which the system has chosen.
  let address: PlainAddress

  /// - Parameters:
  ///   - backlog: With 0 the kernel keeps one connection waiting, and leaves further ones of TCP without an answer.
  ///   - receiveBuffer: Of the sockets that it accepts.
  init(on address: PlainAddress = .ipv4(), backlog: Int32 = 128, receiveBuffer: Int? = nil) throws {
    let socket = try openPlainSocket(address.family)
    if let receiveBuffer { setPlainOption(socket, SO_RCVBUF, Int32(receiveBuffer)) }
    do {
      if unsafe address.withSockaddr({ unsafe bind(socket, $0, $1) }) != 0 { throw PlainFailure("bind") }
      if listen(socket, backlog) != 0 { throw PlainFailure("listen") }
    } catch {
      Posix.close(socket)
      throw error
    }
    _ = fcntl(socket, F_SETFL, O_NONBLOCK)
    descriptor = socket
    self.address = Self.boundAddress(of: socket, address)
  }

  deinit { close() }

  var port: UInt16 { address.port }

  /// Ends listening. Connections that nobody has accepted are reset.
  func close() {
    if descriptor < 0 { return }
    Posix.close(descriptor)
    descriptor = -1
    if let path = address.path { unsafe unlink(path) }
  }

  /// The next connection.
  func accept() throws -> PlainSocket {
    while true {
      let socket = acceptPlainly(descriptor)
      if socket >= 0 { return PlainSocket(owning: socket) }
      if Posix.errno != EAGAIN && Posix.errno != EINTR { throw PlainFailure("accept") }
      try waitPlainly(descriptor, for: POLLIN, "accept")
    }
  }

  private static func boundAddress(of descriptor: Int32, _ address: PlainAddress) -> PlainAddress {
    if address.family == AF_UNIX { return address }
    return unsafe PlainAddress { unsafe getsockname(descriptor, $0, $1) } ?? address
  }
}

/// Outside the class, whose own `accept` would hide the system's.
private func acceptPlainly(_ descriptor: Int32) -> Int32 {
  // It does not wait. A program that is started in between would keep the connection open.
  ChildProcess.startingAlone {
    let accepted = accept(descriptor, nil, nil)
    if accepted >= 0 { _ = fcntl(accepted, F_SETFD, FD_CLOEXEC) }
    return accepted
  }
}
