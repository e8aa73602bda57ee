import CLibUV

/// A `uv_signal_t`: calls back on the loop when the process gets a signal.
///
/// ```swift
/// let interrupt = try SignalHandle(.interrupt)
/// try interrupt.startOnce { print("ending"); … }
/// ```
///
/// While it is started the signal does not do what it did before; afterwards it does again. The callback is ordinary
/// code on the loop, not a signal handler. Several handles and several loops may watch one signal, and all of them see
/// it. Signals of one number that come faster than the loop goes round may be reported once.
///
/// A handler that the program installs for the signal while it is watched takes it from the handles, and stays when the
/// last of them stops; so does `SIG_IGN`, and the default. When the last watcher of a signal stops, libuv sets its
/// default for an instant before what was there is put back.
///
/// For a loop over signals see ``EventLoop/signals(_:)``.
///
/// > Isolation: Created and used on its loop only; nothing else compiles. A call that reaches it off the loop through
/// unsafe code traps, in release builds too.
///
/// > Ownership: While it is started the loop keeps it. The callback is released at `stop` and `close`, and once
/// `startOnce` has called.
///
/// > libuv: `uv_signal_t`, `uv_signal_init`.
public final class SignalHandle: LoopHandle {
  /// The signal that it watches.
  public let signal: Signal

  private let watcher: SignalWatcher

  /// A handle for a signal, not yet started.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for a signal that cannot be watched (`KILL`, `STOP`), that libuv needs
  ///   (`CHLD`), that means a fault (`SEGV`, `BUS`, `FPE`, `ILL`), or that does not exist;
  ///   ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(_ signal: Signal, isolation: isolated any LoopActor = #isolation) throws(UVError) {
    try signal.requireWatchable("SignalHandle.init")
    self.signal = signal
    watcher = try SignalWatcher(signal, on: isolation.core(for: "SignalHandle.init"))
    super.init(watcher)
  }

  /// Calls `body` for each signal. On a started handle it replaces the callback.
  ///
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > libuv: `uv_signal_start`.
  public func start(_ body: @escaping () -> Void) throws(UVError) { try watcher.start(once: false, body) }

  /// Calls `body` for the next signal, and is inactive then, before `body` runs.
  ///
  /// libuv's own one-shot lets a second signal that follows at once do its default, which may end the process; this one
  /// does not.
  ///
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  public func startOnce(_ body: @escaping () -> Void) throws(UVError) { try watcher.start(once: true, body) }

  /// Stops watching. The signal does what it did before. Twice, and on a closed handle, it does nothing.
  ///
  /// > libuv: `uv_signal_stop`.
  public func stop() {
    if watcher.state.isClosed { return }
    watcher.requireLoop("stop")
    watcher.stop()
  }
}

/// A `uv_signal_t`, for a handle or for a sequence. Belongs to the loop's thread.
@safe final class SignalWatcher: Handle {
  private let signal: Signal
  private var isOnce = false
  private var isWatching = false

  init(_ signal: Signal, on loop: LoopCore) throws(UVError) {
    self.signal = signal
    try unsafe super.init(UV_SIGNAL, "SignalHandle", on: loop) { uvLoop, memory in
      unsafe uv_signal_init(uvLoop, memory.bindMemory(to: uv_signal_t.self, capacity: 1))
    }
  }

  private var uvSignal: UnsafeMutablePointer<uv_signal_t> { unsafe memory.assumingMemoryBound(to: uv_signal_t.self) }

  func start(once isOnce: Bool, _ body: @escaping () -> Void) throws(UVError) {
    try requireUsable(isOnce ? "startOnce" : "start")
    if !isWatching {
      // libuv locks in `uv_signal_start` and `uv_signal_stop`, with a pipe that it closes when the process exits.
      if !ExitGuard.enter() { throw loop.closedError("SignalHandle.start") }
      defer { ExitGuard.leave() }
      try SignalDisposition.process.watch(signal.rawValue) { () throws(UVError) in
        unsafe try check(
          uv_signal_start(
            uvSignal, { handle, _ in unsafe SignalWatcher.of(handle?.pointee.data)?.signalCame() }, signal.rawValue),
          "SignalHandle.start")
      }
      isWatching = true
      // Every thread of Swift's pool blocks the signal, and so may all others: somebody must be able to take it.
      setBlocked(false)
    }
    self.isOnce = isOnce
    start(calling: body)
  }

  private func signalCame() {
    if isOnce { unwatch() }
    call(once: isOnce)
  }

  func stop() {
    unwatch()
    stopCalling()
  }

  private func unwatch() {
    if !isWatching { return }
    isWatching = false
    let isLast = !loop.handles.open.contains { ($0 as? SignalWatcher)?.watches(signal) == true }
    if isLast { setBlocked(true) }
    if !ExitGuard.enter() {
      isStuck = true
      return
    }
    defer { ExitGuard.leave() }
    SignalDisposition.process.unwatch(signal.rawValue) { _ = unsafe uv_signal_stop(uvSignal) }
  }

  /// The process exits, and libuv goes on watching: to close the handle would stop it.
  private var isStuck = false

  override var mustStayOpen: Bool { isStuck }

  private func watches(_ signal: Signal) -> Bool { isWatching && self.signal == signal }

  private func setBlocked(_ isBlocked: Bool) {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, signal.rawValue)
    unsafe pthread_sigmask(isBlocked ? SIG_BLOCK : SIG_UNBLOCK, &set, nil)
  }

  override var subject: String { " for \(signal)" }

  /// libuv closes the handle after the signals that were caught already (`signal.c`).
  override func willClose() { unwatch() }
}
