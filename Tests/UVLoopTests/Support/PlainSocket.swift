@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A call on a plain socket that failed; `ETIMEDOUT` where nothing has happened for a minute.
struct PlainFailure: Error, Equatable, CustomStringConvertible {
  let call: String
  let errno: Int32

  init(_ call: String, errno: Int32 = Posix.errno) {
    self.call = call
    self.errno = errno
  }

  var description: String { "\(call) failed with errno \(errno)" }
}

/// A connected socket of the test's own: a peer that shares no code with the library.
///
/// Its calls block the thread, each for a minute at most without progress. In a test that waits for something else
/// at the same time they belong on a plain thread, as `onPlainThread` makes one. It is closed when it goes away.
final class PlainSocket: @unchecked Sendable {  // Holds because one thread at a time uses it.
  private(set) var descriptor: Int32

  /// Takes a connected socket over.
  init(owning descriptor: Int32) {
    self.descriptor = descriptor
    prepare()
  }

  /// Connects; the receive buffer decides how much a peer can send that is not read.
  init(connectingTo address: PlainAddress, receiveBuffer: Int? = nil) throws {
    descriptor = try openPlainSocket(address.family)
    if let receiveBuffer { setReceiveBuffer(receiveBuffer) }
    // A `timeval`.
    var limit = (Int(plainLimit) / 1_000, 0)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<(Int, Int)>.size))
    let status = unsafe address.withSockaddr { unsafe connect(descriptor, $0, $1) }
    if status != 0 {
      let failure = PlainFailure("connect")
      close()
      throw failure
    }
    prepare()
  }

  private func prepare() {
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    #if canImport(Darwin)
      setPlainOption(descriptor, SO_NOSIGPIPE, 1)
    #endif
  }

  /// Two of them, connected with each other.
  static func pair() throws -> (PlainSocket, PlainSocket) {
    var ends: [Int32] = [-1, -1]
    if unsafe socketpair(AF_UNIX, plainStream, 0, &ends) != 0 { throw PlainFailure("socketpair") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (PlainSocket(owning: ends[0]), PlainSocket(owning: ends[1]))
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Posix.close(descriptor) }
    descriptor = -1
  }

  /// Closes it so that a TCP peer sees `ECONNRESET`.
  func reset() {
    var value = linger(l_onoff: 1, l_linger: 0)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  /// The number under which the socket lives on; this one has nothing to close any more.
  func release() -> Int32 {
    defer { descriptor = -1 }
    return descriptor
  }

  func setReceiveBuffer(_ bytes: Int) { setPlainOption(descriptor, SO_RCVBUF, Int32(bytes)) }

  func setSendBuffer(_ bytes: Int) { setPlainOption(descriptor, SO_SNDBUF, Int32(bytes)) }

  // MARK: Bytes

  func sendAll(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      if let count = try sendNow(bytes[sent...]) { sent += count } else { try wait(for: POLLOUT, "send") }
    }
  }

  func sendAll(_ text: String) throws { try sendAll(Array(text.utf8)) }

  /// Sends what the kernel takes at once; nil if it takes nothing.
  func sendNow(_ bytes: ArraySlice<UInt8>) throws -> Int? {
    #if canImport(Darwin)
      let flags: Int32 = 0
    #else
      let flags = Int32(MSG_NOSIGNAL)
    #endif
    let count = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress, $0.count, flags) }
    return try result(count, "send")
  }

  /// The next bytes, as many as are there; none at the end.
  func receive(upTo limit: Int = 65_536) throws -> [UInt8] {
    while true {
      if let bytes = try receiveNow(upTo: limit) { return bytes }
      try wait(for: POLLIN, "recv")
    }
  }

  /// What is there now, none at the end; nil if nothing is.
  func receiveNow(upTo limit: Int = 65_536) throws -> [UInt8]? {
    var failure: (any Error)?
    var isEmpty = false
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      do {
        let received = try result(unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0), "recv")
        isEmpty = received == nil
        count = received ?? 0
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return isEmpty ? nil : bytes
  }

  /// So many bytes, or fewer if the end comes before.
  func receive(exactly count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let part = try receive(upTo: min(count - bytes.count, 65_536))
      if part.isEmpty { break }
      bytes += part
    }
    return bytes
  }

  /// All up to the end.
  func receiveAll() throws -> [UInt8] { try receive(exactly: .max) }

  /// The peer reads the end behind what was sent.
  func shutdownWriting() throws {
    if shutdown(descriptor, Int32(SHUT_WR)) != 0 { throw PlainFailure("shutdown") }
  }

  /// Ends both directions without closing it: a thread that waits in one of the calls returns.
  func abort() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

  private func result(_ count: Int, _ call: String) throws -> Int? {
    if count >= 0 { return count }
    let failure = PlainFailure(call)
    if failure.errno == EAGAIN || failure.errno == EINTR { return nil }
    throw failure
  }

  private func wait(for event: Int32, _ call: String) throws { try waitPlainly(descriptor, for: event, call) }
}

/// Milliseconds without progress after which a test is broken.
let plainLimit: Int32 = 60_000

let plainStream = Socket.stream

func openPlainSocket(_ family: Int32) throws -> Int32 {
  let descriptor = socket(family, plainStream, 0)
  _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  if descriptor < 0 { throw PlainFailure("socket") }
  return descriptor
}

func setPlainOption(_ descriptor: Int32, _ name: Int32, _ value: Int32) {
  var value = value
  let status = unsafe setsockopt(descriptor, SOL_SOCKET, name, &value, socklen_t(MemoryLayout<Int32>.size))
  precondition(status == 0, "setsockopt failed with errno \(Posix.errno)")
}

/// Waits until the socket is ready for `POLLIN` or `POLLOUT`, or has failed.
func waitPlainly(_ descriptor: Int32, for event: Int32, _ call: String) throws {
  var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
  let count = unsafe poll(&entry, 1, plainLimit)
  if count == 0 { throw PlainFailure(call, errno: ETIMEDOUT) }
  if count < 0 && Posix.errno != EINTR { throw PlainFailure("poll") }
}
