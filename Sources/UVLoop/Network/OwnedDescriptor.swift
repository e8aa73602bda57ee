/// An open descriptor with one owner, who closes it.
///
/// It cannot be copied. Passing it on makes the receiver its owner, and the compiler refuses to use it a second time.
/// When its owner drops it, the descriptor is closed.
///
/// ```swift
/// let descriptor = try await stream.detach()
/// let number = descriptor.release()  // for C, which closes it
/// ```
///
/// > Isolation: None. It can be made, handed on and dropped on any thread.
///
/// > Ownership: Nothing else may close the number meanwhile. A second close could hit a file that another thread has
/// > opened under the same number.
///
/// > libuv: None; libuv takes a number with `uv_tcp_open` and its kin, and closes it with the handle.
public struct OwnedDescriptor: ~Copyable, Sendable {
  /// The number. It stays this one's: use it for a call, and do not close it.
  public let rawValue: Int32

  /// Takes a descriptor over.
  ///
  /// The number is not checked: the first call that uses it fails if it is not open. A negative one is never closed.
  ///
  /// - Parameter rawValue: An open descriptor that nobody else closes.
  public init(owning rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// Makes a second descriptor for the same file or socket; the first one stays its owner's.
  ///
  /// Both share the position in a file and flags such as `O_NONBLOCK`. The new one is closed by an `exec`, and its
  /// number is never 0, 1 or 2.
  ///
  /// - Parameter rawValue: An open descriptor.
  /// - Throws: ``UVError/Code/badFileDescriptor`` (`EBADF`) if it is not open; ``UVError/Code/tooManyOpenFiles``
  ///   (`EMFILE`) if the process may have no more.
  public init(duplicating rawValue: Int32) throws(UVError) {
    self.rawValue = try check(
      Socket.duplicate(rawValue), "OwnedDescriptor.init",
      hint: Posix.isOpen(rawValue) ? nil : "Descriptor \(rawValue) is not open.")
  }

  deinit {
    if rawValue >= 0 { Posix.close(rawValue) }
  }

  /// Gives the number to somebody who closes it: C, or a library that has an owner of its own.
  ///
  /// - Returns: The descriptor, still open.
  public consuming func release() -> Int32 {
    let number = rawValue
    discard self
    return number
  }
}
