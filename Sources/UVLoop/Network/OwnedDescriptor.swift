/// An open descriptor with one owner, who closes it.
///
/// It cannot be copied: whoever gets it by `consuming`, or moves it into a variable, is its owner from then on, and the
/// compiler refuses a second use. When the owner drops it, the descriptor is closed.
///
/// ```swift
/// let descriptor = try await stream.detach()
/// let number = descriptor.release()  // for C, which closes it
/// ```
///
/// > Isolation: None. It can be made, handed on and dropped on any thread.
///
/// > Ownership: Nobody else may close the number while this has it. A number that is closed twice may belong to a file
/// > that another thread has opened in between.
///
/// > libuv: None; libuv takes a number with `uv_tcp_open` and its kin, and closes it with the handle.
public struct OwnedDescriptor: ~Copyable, Sendable {
  /// The number. It stays this one's: use it for a call, and do not close it.
  public let rawValue: Int32

  /// Takes a descriptor over.
  ///
  /// Nothing is looked at: a number that is not open is noticed by whoever uses it. Of a negative one nothing is closed.
  ///
  /// - Parameter rawValue: An open descriptor that nobody else closes.
  public init(owning rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// Makes a second descriptor for what the number stands for; the number stays its owner's.
  ///
  /// Both share the position in a file, and flags such as `O_NONBLOCK`. The new one is closed by an `exec`, and is never
  /// 0, 1 or 2.
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
