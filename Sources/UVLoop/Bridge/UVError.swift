// The one public error type.
//
// libuv reports a failure as a negative number. An error of ours says three things instead: which call failed, with
// which code, and a sentence that a person can act on. A number from libuv's range keeps its value, so that codes that
// this version does not name (a newer libuv, a rare errno) still arrive whole.

internal import CLibUV

/// What went wrong: the code, the call that failed, and a sentence about it.
///
/// Compare ``code`` to decide what to do; print the error to learn what happened. Two errors are equal when all three
/// parts are.
///
/// ```swift
/// do {
///   try loop.post { beat() }
/// } catch where error.code == .loopClosed {
///   return  // the loop has ended, and so do we
/// }
/// ```
///
/// Inside a closure, the body of a `run` for instance, Swift infers no type for what a `do` throws: there write
/// `do throws(UVError) { … }`, or `catch let error as UVError where …`.
///
/// A job's own error, thrown inside `offload` or `run`, arrives as it is and never as a `UVError`; cancellation is
/// `CancellationError`.
///
/// > libuv: `docs/src/errors.rst`.
public struct UVError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Which kind of failure it is.
  public let code: Code

  /// The call that failed, as the caller wrote it: `PollHandle.init`.
  public let call: String

  /// What happened and, where there is something to do about it, what to do instead.
  public let message: String

  /// An error of ours, or one of libuv's codes with a sentence of ours.
  init(_ code: Code, call: String, _ message: String) {
    self.code = code
    self.call = call
    self.message = message
  }

  /// A status that libuv returned; the hint is a whole sentence that follows libuv's own words.
  init(status: Int32, call: String, hint: String? = nil) {
    let words = unsafe text(of: status, by: uv_strerror_r)
    self.init(Code(rawValue: status), call: call, hint.map { "\(words). \($0)" } ?? words)
  }

  /// The system's positive error number, or `nil` for a code that no system call returns.
  ///
  /// `nil` are: this package's own codes, the end of a file, the codes of name look-ups, and those that libuv had to
  /// invent because this system lacks them.
  public var errno: Int32? {
    // libuv's own numbers begin at -3000 (`uv/errno.h`), and no system counts its errors to a thousand.
    (-999 ... -1).contains(code.rawValue) ? -code.rawValue : nil
  }

  /// The code's name, the call and the sentence: `EBADF in PollHandle.init: bad file descriptor`.
  public var description: String { "\(code.name) in \(call): \(message)" }
}

extension UVError {
  /// The kind of a failure: libuv's codes under the names of swift-system, and this package's own.
  ///
  /// A struct and not an enum, because libuv's list grows: a `switch` over it needs a `default`.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// libuv's negative number, or one below -5000 for a code of this package.
    public let rawValue: Int32

    /// A code by its number; a number that nobody knows is kept.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    init(_ code: uv_errno_t) { self.init(rawValue: Int32(code.rawValue)) }

    /// The C name of a code of libuv's (`EADDRINUSE`), the Swift name of one of ours (`loopClosed`).
    ///
    /// A number that libuv does not know reads `Unknown system error -4711`.
    ///
    /// > libuv: `uv_err_name_r`.
    public var name: String {
      switch self {
      case .loopClosed: "loopClosed"
      case .handleClosed: "handleClosed"
      case .notOnLoop: "notOnLoop"
      case .wouldDeadlock: "wouldDeadlock"
      case .timedOut: "timedOut"
      case .busy: "busy"
      case .tornWrite: "tornWrite"
      case .poolClosed: "poolClosed"
      default: unsafe text(of: rawValue, by: uv_err_name_r)
      }
    }

    /// The same as ``name``.
    public var description: String { name }
  }
}

/// Asks libuv for a text about a status.
///
/// Only through the `_r` functions: for a number that they do not know, `uv_strerror` and `uv_err_name` allocate a
/// text that nobody can free (`docs/src/errors.rst`).
private func text(
  of status: Int32,
  by function: (Int32, UnsafeMutablePointer<CChar>?, Int) -> UnsafeMutablePointer<CChar>?
) -> String {
  // libuv's longest text has less than 50 bytes; one longer than the buffer would be cut, never overrun.
  unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
    _ = unsafe function(status, buffer.baseAddress, buffer.count)
    // Holds because both functions always write a terminating zero, also when they cut.
    return unsafe buffer.baseAddress.map { unsafe String(cString: $0) } ?? ""
  }
}
