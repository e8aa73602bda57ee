import CLibUV

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A child process made by `fork`, without `exec`. For exit tests only.
struct Fork {
  enum Ending: Equatable {
    case exited(Int32)
    case killed(by: Int32)
    /// It had to be killed.
    case hung

    /// How `fatalError` ends a process.
    var isTrap: Bool { self == .killed(by: SIGTRAP) || self == .killed(by: SIGILL) }
  }

  let id: pid_t
  /// The read end of the child's standard error.
  private let errors: Int32

  /// Runs `body` in a child, which ends with `_exit` of the result. Nil if there is no child.
  ///
  /// Only synchronous code works there: Swift's global pool does not survive a fork. Neither do the locks of Swift's
  /// runtime: one that another thread holds at the fork is locked in the child for ever. The runtime locks at the first
  /// use of a type or a global variable, and under the thread sanitizer at every use of a global variable.
  ///
  /// - Parameter isAmidst: Fork while other threads run. Otherwise it waits until all of them sleep.
  static func child(amidstOthers isAmidst: Bool = false, _ body: () -> Int32) -> Fork? {
    // Swift's importer leaves `fork` out.
    guard let symbol = unsafe dlsym(nil, "fork") else { return nil }
    if !isAmidst && !othersFallAsleep(within: .seconds(20)) { return nil }
    let fork = unsafe unsafeBitCast(symbol, to: (@convention(c) () -> pid_t).self)
    var ends: [Int32] = [-1, -1]
    if unsafe pipe(&ends) != 0 { return nil }
    let id = fork()
    if id == 0 {
      dup2(ends[1], STDERR_FILENO)
      Posix.close(ends[0])
      Posix.close(ends[1])
      _exit(body())
    }
    Posix.close(ends[1])
    if id < 0 {
      Posix.close(ends[0])
      return nil
    }
    return Fork(id: id, errors: ends[0])
  }

  private static func othersFallAsleep(within limit: Duration) -> Bool {
    let deadline = MonotonicClock.now(plus: limit)
    let own = ThreadIdentity.current.kernelID
    while !Process.threads.subtracting([own]).allSatisfy(Process.isAsleep) {
      if MonotonicClock.now() > deadline { return false }
      // Nothing tells when a thread falls asleep: the kernel's table is asked again.
      usleep(1_000)
    }
    return true
  }

  /// Waits for the child's end, by which it has also closed its standard error.
  func wait(within limit: Duration = .seconds(20)) -> Ending { end(within: limit).ending }

  /// The same, with what the child wrote to its standard error (the first 64 KiB).
  func end(within limit: Duration = .seconds(20)) -> (ending: Ending, errors: String) {
    defer { Posix.close(errors) }
    let deadline = MonotonicClock.now(plus: limit)
    var status: Int32 = 0
    while unsafe waitpid(id, &status, WNOHANG) == 0 {
      if MonotonicClock.now() > deadline {
        kill(id, SIGKILL)
        unsafe waitpid(id, &status, 0)
        return (.hung, text())
      }
      usleep(1_000)
    }
    let signal = status & 0x7f
    return (signal == 0 ? .exited((status >> 8) & 0xff) : .killed(by: signal), text())
  }

  private func text() -> String {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe read(errors, &bytes, bytes.count)
    return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
  }
}
