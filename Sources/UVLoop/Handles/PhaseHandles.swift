import CLibUV

// The three handles of libuv that call once an iteration, each at its place: idle, prepare, the poll, check. What
// differs is the place. The loop has one of each kind of its own, by which it runs its queue; in which order it and
// these are called at one place is not promised.

/// A `uv_prepare_t`: calls before each poll.
///
/// For code that must see to something before the loop waits: the event loop of another library that is embedded in
/// this one, say. It does not make the loop go round: one that waits calls it again when it has woken. Only the first
/// call after a start waits for nothing.
///
/// > libuv: `uv_prepare_t`, `uv_prepare_init`.
public final class PrepareHandle: LoopHandle {
  private let phase: Phase

  /// A handle that has not been started.
  ///
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(isolation: isolated any LoopActor = #isolation) throws(UVError) {
    phase = try Phase(.prepare, "PrepareHandle", on: isolation.core(for: "PrepareHandle.init"))
    super.init(phase)
  }

  /// Calls `body` before each poll. On a started handle it replaces the callback.
  ///
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > libuv: `uv_prepare_start`.
  public func start(_ body: @escaping () -> Void) throws(UVError) { try phase.start(body) }

  /// Stops calling and releases the callback, also from within. Twice, and on a closed handle, it does nothing.
  ///
  /// > libuv: `uv_prepare_stop`.
  public func stop() { phase.stop() }
}

/// A `uv_check_t`: calls after each poll.
///
/// It does not make the loop go round: one that waits calls it when it has woken.
///
/// > libuv: `uv_check_t`, `uv_check_init`.
public final class CheckHandle: LoopHandle {
  private let phase: Phase

  /// A handle that has not been started.
  ///
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(isolation: isolated any LoopActor = #isolation) throws(UVError) {
    phase = try Phase(.check, "CheckHandle", on: isolation.core(for: "CheckHandle.init"))
    super.init(phase)
  }

  /// Calls `body` after each poll. On a started handle it replaces the callback.
  ///
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > libuv: `uv_check_start`.
  public func start(_ body: @escaping () -> Void) throws(UVError) { try phase.start(body) }

  /// Stops calling and releases the callback, also from within. Twice, and on a closed handle, it does nothing.
  ///
  /// > libuv: `uv_check_stop`.
  public func stop() { phase.stop() }
}

/// A `uv_idle_t`: calls once an iteration, and keeps the loop from ever waiting: a whole CPU, for as long as it is
/// started.
///
/// Its name is libuv's, and misleads: it does not call when the loop is idle, but keeps it from being so. Input, timers
/// and posts go on. A loop in debug mode reports one that has been started for more than ten seconds.
///
/// > libuv: `uv_idle_t`, `uv_idle_init`.
public final class IdleHandle: LoopHandle {
  private let phase: Phase

  /// A handle that has not been started.
  ///
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(isolation: isolated any LoopActor = #isolation) throws(UVError) {
    phase = try Phase(.idle, "IdleHandle", on: isolation.core(for: "IdleHandle.init"))
    super.init(phase)
  }

  /// Calls `body` once an iteration. On a started handle it replaces the callback.
  ///
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > libuv: `uv_idle_start`.
  public func start(_ body: @escaping () -> Void) throws(UVError) { try phase.start(body) }

  /// Stops calling and releases the callback, also from within: the loop waits again. Twice, and on a closed handle, it
  /// does nothing.
  ///
  /// > libuv: `uv_idle_stop`.
  public func stop() { phase.stop() }
}

/// What the three have in common. Belongs to the loop's thread.
@safe private final class Phase: Handle {
  enum Kind { case prepare, check, idle }

  private let kind: Kind
  /// In the loop's milliseconds. Nil once it has been reported, or needs not be.
  private var started: UInt64?

  init(_ kind: Kind, _ typeName: StaticString, on loop: LoopCore) throws(UVError) {
    self.kind = kind
    switch kind {
    case .prepare:
      try unsafe super.init(UV_PREPARE, typeName, on: loop) { uvLoop, memory in
        unsafe uv_prepare_init(uvLoop, memory.bindMemory(to: uv_prepare_t.self, capacity: 1))
      }
    case .check:
      try unsafe super.init(UV_CHECK, typeName, on: loop) { uvLoop, memory in
        unsafe uv_check_init(uvLoop, memory.bindMemory(to: uv_check_t.self, capacity: 1))
      }
    case .idle:
      try unsafe super.init(UV_IDLE, typeName, on: loop) { uvLoop, memory in
        unsafe uv_idle_init(uvLoop, memory.bindMemory(to: uv_idle_t.self, capacity: 1))
      }
    }
  }

  func start(_ body: @escaping () -> Void) throws(UVError) {
    try requireUsable("start")
    try check(startNow(), "\(typeName).start")
    if !state.isActive { begin() }
    start(calling: body)
  }

  private func begin() {
    switch kind {
    case .prepare:
      // libuv goes through those that it had when it began: one that a job of the loop's own prepare handle starts is
      // called only after the next poll.
      loop.driver.pollNextWithoutWaiting()
    case .check: break
    case .idle: if site != nil { started = unsafe uv_now(loop.rawLoop.loop) }
    }
  }

  /// On one that is started libuv does nothing.
  private func startNow() -> Int32 {
    switch kind {
    case .prepare:
      unsafe uv_prepare_start(memory.assumingMemoryBound(to: uv_prepare_t.self)) {
        unsafe Phase.of($0?.pointee.data)?.come()
      }
    case .check:
      unsafe uv_check_start(memory.assumingMemoryBound(to: uv_check_t.self)) {
        unsafe Phase.of($0?.pointee.data)?.come()
      }
    case .idle:
      unsafe uv_idle_start(memory.assumingMemoryBound(to: uv_idle_t.self)) {
        unsafe Phase.of($0?.pointee.data)?.come()
      }
    }
  }

  private func come() {
    if started != nil { reportIfLong() }
    call()
  }

  private func reportIfLong() {
    guard let started, let site, unsafe uv_now(loop.rawLoop.loop) - started > 10_000 else { return }
    self.started = nil
    loop.observation.observer.loopNeverWaits(typeName, site)
  }

  func stop() {
    if state.isClosed { return }
    requireLoop("stop")
    _ =
      switch kind {
      case .prepare: unsafe uv_prepare_stop(memory.assumingMemoryBound(to: uv_prepare_t.self))
      case .check: unsafe uv_check_stop(memory.assumingMemoryBound(to: uv_check_t.self))
      case .idle: unsafe uv_idle_stop(memory.assumingMemoryBound(to: uv_idle_t.self))
      }
    started = nil
    stopCalling()
  }
}
