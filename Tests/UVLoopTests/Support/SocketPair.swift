@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Two connected sockets, closed when this goes away.
final class SocketPair: @unchecked Sendable {  // Holds because `ends` is used by one test, in order.
  private(set) var ends: (Int32, Int32)

  init() {
    var pair: [Int32] = [-1, -1]
    let status = unsafe socketpair(AF_UNIX, plainStream, 0, &pair)
    precondition(status == 0, "socketpair failed with errno \(Posix.errno)")
    ends = (pair[0], pair[1])
  }

  deinit {
    closeFirst()
    closeSecond()
  }

  /// The end to watch.
  var watched: Int32 { ends.0 }

  func closeFirst() {
    if ends.0 >= 0 { Posix.close(ends.0) }
    ends.0 = -1
  }

  func closeSecond() {
    if ends.1 >= 0 { Posix.close(ends.1) }
    ends.1 = -1
  }

  /// Puts a byte into the second end: the first becomes readable.
  func feed() {
    let byte: [UInt8] = [7]
    let count = unsafe write(ends.1, byte, 1)
    precondition(count == 1, "write failed with errno \(Posix.errno)")
  }

  /// Writes into the first end until it has no more room. It is non-blocking once a `PollHandle` has watched it.
  func fill() {
    let bytes = [UInt8](repeating: 7, count: 65_536)
    while unsafe write(ends.0, bytes, bytes.count) > 0 {}
  }

  /// Takes everything that the second end has.
  func drainPeer() {
    _ = fcntl(ends.1, F_SETFL, O_NONBLOCK)
    var bytes = [UInt8](repeating: 0, count: 65_536)
    while unsafe read(ends.1, &bytes, bytes.count) > 0 {}
  }

  /// Takes what the first end has; the number of bytes, zero at the end, negative if there is nothing.
  @discardableResult
  func drain() -> Int {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    return unsafe read(ends.0, &bytes, bytes.count)
  }
}

/// An open regular file without a name, closed when this goes away.
@safe final class TemporaryFile {
  private let file: UnsafeMutablePointer<FILE>

  init?() {
    guard let file = unsafe tmpfile() else { return nil }
    unsafe self.file = file
  }

  deinit { unsafe fclose(file) }

  var descriptor: Int32 { unsafe fileno(file) }
}
