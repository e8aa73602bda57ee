import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// The mode belongs to the terminal, and outlives the process. libuv remembers what it was for one terminal of the
// process and for each handle; a handle that comes second takes what the first has set for the original. Here it is
// kept for each terminal, from the first change to the end of the last.

/// What the terminals were before this process changed them.
@safe final class TerminalModes: @unchecked Sendable {  // Holds because the lock guards what is stored.
  /// One stream's change of its terminal.
  struct Change {
    fileprivate let terminal: UInt64
    let original: termios
  }

  @safe private struct Entry {
    var streams = 1
    let node: UnsafeMutablePointer<clibuv_terminal>
    /// Of our own: the streams may have closed theirs.
    let descriptor: Int32
  }

  /// Those that end a process, and can be caught.
  private static let signals = [
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT,
  ]

  static let process = TerminalModes()

  private let lock = Lock()
  private var entries: [UInt64: Entry] = [:]

  /// In the child of a fork nothing is changed that would be its business. The lock is taken around the fork, since
  /// otherwise the child may inherit it locked by a thread that it does not have.
  private init() {
    // Its lock is taken inside ours, also around a fork: handlers that are registered later run first before it.
    _ = SignalDisposition.process
    let status = pthread_atfork(
      { TerminalModes.process.lock.lock() }, { TerminalModes.process.lock.unlock() },
      {
        TerminalModes.process.entries = [:]
        TerminalModes.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
    // Where there is no memory for it the mode stays as it is.
    _ = atexit { clibuv_restore_terminals() }
  }

  /// Whether a stream of this process has changed the terminal.
  func hasChanged(_ descriptor: Int32) -> Bool {
    lock.withLock { entries[clibuv_terminal_number(descriptor)] != nil }
  }

  /// A stream is about to change its terminal.
  func begin(_ descriptor: Int32, _ call: String) throws(UVError) -> Change {
    try lock.withLock { () throws(UVError) in
      let terminal = clibuv_terminal_number(descriptor)
      if var entry = entries[terminal] {
        entry.streams += 1
        entries[terminal] = entry
        return unsafe Change(terminal: terminal, original: entry.node.pointee.original)
      }
      let own = try check(Socket.duplicate(descriptor), call)
      guard let node = unsafe clibuv_change_terminal(own) else {
        let error = Posix.errno
        Posix.close(own)
        throw UVError(status: -error, call: call)
      }
      if entries.isEmpty { for signal in TerminalModes.signals { guardAgainst(signal) } }
      entries[terminal] = unsafe Entry(node: node, descriptor: own)
      return unsafe Change(terminal: terminal, original: node.pointee.original)
    }
  }

  /// It needs its change no more. The last one puts back what was there.
  func end(_ change: Change) {
    lock.withLock {
      guard var entry = entries[change.terminal] else { return }
      entry.streams -= 1
      if entry.streams > 0 {
        entries[change.terminal] = entry
        return
      }
      entries[change.terminal] = nil
      unsafe clibuv_restore_terminal(entry.node)
      unsafe clibuv_forget_terminal(entry.node)
      Posix.close(entry.descriptor)
      if entries.isEmpty { for signal in TerminalModes.signals { stopGuarding(signal) } }
    }
  }

  // MARK: Signals

  /// A loop that watches the signal has the first word. When it watches no more ours is there.
  private func guardAgainst(_ signal: Int32) {
    SignalDisposition.process.withSaved(signal) { saved in
      if var before = saved {
        if unsafe clibuv_is_default(&before) { saved = clibuv_guard(signal, before) }
        return
      }
      var before = sigaction()
      if unsafe sigaction(signal, nil, &before) != 0 || !clibuv_is_default(&before) { return }
      var handler = clibuv_guard(signal, before)
      _ = unsafe sigaction(signal, &handler, nil)
    }
  }

  /// What the program has installed meanwhile stays.
  private func stopGuarding(_ signal: Int32) {
    SignalDisposition.process.withSaved(signal) { saved in
      if var before = saved {
        if unsafe clibuv_restores_terminals(&before) { saved = clibuv_guarded(signal) }
        return
      }
      var now = sigaction()
      if unsafe sigaction(signal, nil, &now) != 0 || !clibuv_restores_terminals(&now) { return }
      var before = clibuv_guarded(signal)
      _ = unsafe sigaction(signal, &before, nil)
    }
  }
}
