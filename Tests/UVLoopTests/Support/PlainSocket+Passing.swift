@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// Descriptors beside bytes. The macros for them are not imported: what stands before the numbers is written by hand.

extension PlainSocket {
  /// Sends these bytes, and descriptors with the first of them, which stay the caller's.
  func pass(_ descriptors: [Int32], with bytes: [UInt8]) throws {
    var bytes = bytes
    var control = [UInt8](control: descriptors)
    let sent = unsafe withMessage(&bytes, &control) { message in
      while true {
        let sent = unsafe sendmsg(descriptor, &message, 0)
        if sent >= 0 || Posix.errno != EAGAIN { return sent }
        do { try waitPlainly(descriptor, for: POLLOUT, "sendmsg") } catch { return -1 }
      }
    }
    if sent != bytes.count { throw PlainFailure("sendmsg") }
  }

  /// Waits for bytes, and takes what comes with them.
  func receiveWithDescriptors(upTo limit: Int = 65_536) throws -> (bytes: [UInt8], descriptors: [Int32]) {
    var bytes = [UInt8](repeating: 0, count: limit)
    var control = [UInt8](repeating: 0, count: 1_024)
    var filled = 0
    while true {
      let received = unsafe withMessage(&bytes, &control) { message in
        let received = unsafe recvmsg(descriptor, &message, 0)
        filled = unsafe Int(message.msg_controllen)
        return received
      }
      if received >= 0 {
        let descriptors = control.prefix(filled).passedDescriptors
        for descriptor in descriptors { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return (Array(bytes.prefix(received)), descriptors)
      }
      if Posix.errno != EAGAIN && Posix.errno != EINTR { throw PlainFailure("recvmsg") }
      try waitPlainly(descriptor, for: POLLIN, "recvmsg")
    }
  }

  /// So many bytes, and the descriptors that come with them: behind how many bytes the first one's message began.
  func receiveWithDescriptors(exactly count: Int) throws -> (bytes: [UInt8], descriptors: [Int32], place: Range<Int>?) {
    var (bytes, descriptors, place): ([UInt8], [Int32], Range<Int>?) = ([], [], nil)
    while bytes.count < count {
      let (more, found) = try receiveWithDescriptors()
      if more.isEmpty { break }
      if !found.isEmpty && place == nil { place = bytes.count..<bytes.count + more.count }
      bytes += more
      descriptors += found
    }
    return (bytes, descriptors, place)
  }

  /// Whether the other end, and every copy of it, has been closed: nothing comes any more.
  func isAtEnd() -> Bool {
    do { return try receiveNow()?.isEmpty == true } catch { return true }
  }

  private func withMessage(
    _ bytes: inout [UInt8], _ control: inout [UInt8], _ body: (inout msghdr) -> Int
  ) -> Int {
    unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe control.withUnsafeMutableBytes { control in
        var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        return unsafe withUnsafeMutablePointer(to: &part) { part in
          var message = unsafe msghdr()
          unsafe message.msg_iov = part
          unsafe message.msg_iovlen = 1
          unsafe message.msg_control = control.isEmpty ? nil : control.baseAddress
          unsafe message.msg_controllen = numericCast(control.count)
          return unsafe body(&message)
        }
      }
    }
  }
}

#if canImport(Darwin)
  private let lengthSize = 4
#else
  private let lengthSize = 8
#endif
/// The length, the level and the type stand before the numbers.
private let headerSize = lengthSize + 8

extension [UInt8] {
  fileprivate init(control descriptors: [Int32]) {
    self = []
    if descriptors.isEmpty { return }
    let length = headerSize + descriptors.count * 4
    for index in 0..<lengthSize { append(UInt8(truncatingIfNeeded: length >> (8 * index))) }
    for number in [SOL_SOCKET, Int32(scmRights)] + descriptors {
      for index in 0..<4 { append(UInt8(truncatingIfNeeded: number >> (8 * index))) }
    }
    while count % lengthSize != 0 { append(0) }
  }
}

extension ArraySlice<UInt8> {
  fileprivate var passedDescriptors: [Int32] {
    func number(_ offset: Int) -> Int32 {
      (0..<4).reduce(0) { $0 | Int32(self[startIndex + offset + $1]) << (8 * Int32($1)) }
    }
    if count < headerSize || number(lengthSize + 4) != Int32(scmRights) { return [] }
    return stride(from: headerSize, to: Int(number(0)), by: 4).map(number)
  }
}

/// SCM_RIGHTS, which is an enumeration on some systems.
private let scmRights = 1
