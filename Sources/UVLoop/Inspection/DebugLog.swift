import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// The thread:
//   none      no loop in debug mode
//   waiting   at least one such loop, nothing to write
//   writing   names are looked up, lines are written; ends when there is neither a line nor a loop

/// Writes what debug mode tells to standard error, in the order in which it was told.
///
/// On a thread of its own: to find the names of functions means to read files, which takes milliseconds, and whoever
/// reads standard error may be slow. Neither is a loop's to wait for. What was told is written before the process
/// exits; not where it is killed, or traps.
final class DebugLog: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  static let process = DebugLog()

  /// More than that wait only where lines come faster than they are written: whoever tells waits then, so that memory
  /// does not grow.
  private static let most = 4_096

  private let lock = Lock()
  private var lines: [@Sendable () -> String] = []
  private var loops = 0
  private var hasThread = false
  /// Lines so far.
  private var told = 0
  private var written = 0

  /// A child of a fork has none of this: neither the loops nor the thread. The lock is taken around the fork, since
  /// otherwise the child may inherit it locked by a thread that it does not have.
  private init() {
    let status = pthread_atfork(
      { DebugLog.process.lock.lock() }, { DebugLog.process.lock.unlock() },
      {
        DebugLog.process.forget()
        DebugLog.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
    // Refused only without memory.
    _ = atexit { DebugLog.process.flush() }
  }

  private func forget() {
    lock.forgetWaiters()
    (lines, loops, hasThread, told, written) = ([], 0, false, 0, 0)
  }

  /// For each loop that will tell something. The thread is started here, since that takes longer than a loop should
  /// wait.
  func open() {
    lock.withLock {
      loops += 1
      startThread()
    }
  }

  /// Once for each `open`.
  func close() {
    lock.withLock {
      loops -= 1
      lock.wakeAll()
    }
  }

  /// Has the line written, which is composed on the writing thread.
  func log(_ line: @escaping @Sendable () -> String) {
    let isTaken = lock.withLock {
      while lines.count >= DebugLog.most && hasThread { lock.wait() }
      startThread()
      if !hasThread { return false }
      lines.append(line)
      told += 1
      lock.wakeAll()
      return true
    }
    if !isTaken { write(line) }
  }

  /// Returns when everything that was told before is written.
  func flush() {
    lock.withLock {
      let last = told
      while written < last { lock.wait() }
    }
  }

  private func startThread() {
    if hasThread { return }
    hasThread = (try? DetachedThread.start(named: "uv-debug-log") { self.writeAll() }) != nil
  }

  private func writeAll() {
    while let lines = next() {
      for line in lines {
        write(line)
        lock.withLock {
          written += 1
          lock.wakeAll()
        }
      }
    }
  }

  /// Waits for lines; nil when there will be none.
  private func next() -> [@Sendable () -> String]? {
    lock.withLock {
      while lines.isEmpty {
        if loops == 0 {
          hasThread = false
          return nil
        }
        lock.wait()
      }
      defer {
        lines = []
        // For who waits because there were too many.
        lock.wakeAll()
      }
      return lines
    }
  }

  private func write(_ line: () -> String) { Posix.write(line(), to: STDERR_FILENO) }
}
