import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the process did about a signal before a loop watched it.
///
/// libuv installs its handler when the first watcher of a signal starts, and sets the default when the last one stops
/// (`signal.c`): whatever the program had installed before is lost, and also what it has installed since. Here both are
/// kept: what was there before is put back, unless the program has set something else meanwhile.
final class SignalDisposition: @unchecked Sendable {  // Holds because `saved` is guarded by `lock`.
  private struct Entry {
    var watchers = 0
    var before: sigaction
    /// What libuv has installed.
    let installed: sigaction
  }

  private let lock = Lock()
  private var saved: [Int32: Entry] = [:]

  static let process = SignalDisposition()

  /// A child of a fork has none of the parent's watchers. The lock is taken around the fork, since otherwise the child
  /// may inherit it locked by a thread that it does not have.
  private init() {
    let status = pthread_atfork(
      { SignalDisposition.process.lock.lock() }, { SignalDisposition.process.lock.unlock() },
      {
        SignalDisposition.process.saved = [:]
        SignalDisposition.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }

  /// Runs `start`, which makes libuv watch the signal, and keeps what was there if it is the first watcher.
  func watch(_ signal: Int32, _ start: () throws(UVError) -> Void) throws(UVError) {
    try lock.withLock { () throws(UVError) in
      var before = sigaction()
      if saved[signal] == nil {
        unsafe try check(sigaction(signal, nil, &before) == 0 ? 0 : -Posix.errno, "sigaction")
      }
      try start()
      if saved[signal] == nil {
        var installed = sigaction()
        unsafe try check(sigaction(signal, nil, &installed) == 0 ? 0 : -Posix.errno, "sigaction")
        // Where C code watches the signal through libuv already, what was there is libuv's own handler: it must not be
        // put back when nobody watches any more.
        if isSame(installed, before) { before = sigaction() }
        saved[signal] = Entry(before: before, installed: installed)
      }
      saved[signal]?.watchers += 1
    }
  }

  /// Runs `stop`, which makes libuv let go, and puts back what was there if it was the last watcher. Where C code still
  /// watches the signal through libuv, the handler stays.
  func unwatch(_ signal: Int32, _ stop: () -> Void) {
    lock.withLock {
      // libuv does not look at what it replaces by the default.
      var current = sigaction()
      let isKnown = unsafe sigaction(signal, nil, &current) == 0
      stop()
      guard var entry = saved[signal] else { return }
      entry.watchers -= 1
      saved[signal] = entry.watchers == 0 ? nil : entry
      if entry.watchers > 0 { return }
      var wanted = isKnown && !isSame(current, entry.installed) ? current : entry.before
      var now = sigaction()
      if unsafe sigaction(signal, nil, &now) == 0 && isDefault(now) && !isDefault(wanted) {
        _ = unsafe sigaction(signal, &wanted, nil)
      }
    }
  }

  /// For whoever takes back a handler of its own that watchers may have found: runs `body` while none comes or goes,
  /// with what the last of them will put back; nil if nobody watches.
  func withSaved(_ signal: Int32, _ body: (inout sigaction?) -> Void) {
    lock.withLock {
      var before = saved[signal]?.before
      body(&before)
      if let before { saved[signal]?.before = before }
    }
  }

  private func isDefault(_ action: sigaction) -> Bool { handler(action) == 0 }

  private func isSame(_ one: sigaction, _ other: sigaction) -> Bool { handler(one) == handler(other) }

  /// The address of the handler; 0 is the default (`SIG_DFL`).
  private func handler(_ action: sigaction) -> Int {
    #if canImport(Darwin)
      unsafe unsafeBitCast(action.__sigaction_u.__sa_handler, to: Int.self)
    #elseif canImport(Musl)
      unsafe unsafeBitCast(action.__sa_handler.sa_handler, to: Int.self)
    #else
      unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
    #endif
  }
}
