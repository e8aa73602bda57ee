import Synchronization

// Where a loop is in its life, and what it refuses there.

extension LoopCore {
  enum Life: UInt8 {
    case running
    case stopping
    case stopped

    var state: EventLoop.State {
      switch self {
      case .running: .running
      case .stopping: .stopping
      case .stopped: .stopped
      }
    }
  }

  var life: Life { Life(rawValue: lifeState.load(ordering: .acquiring)) ?? .stopped }

  func endLife() { lifeState.store(Life.stopped.rawValue, ordering: .releasing) }

  /// Never from stopped back to stopping: two threads may ask at once.
  func beginStopping() {
    _ = lifeState.compareExchange(
      expected: Life.running.rawValue, desired: Life.stopping.rawValue, ordering: .acquiringAndReleasing)
  }

  /// For a wait that was accepted, and that shutdown has ended.
  func closedWhileWaiting(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Loop \"\(name)\" was shut down while \(call) waited.")
  }

  /// For a call that came too late.
  @inline(never)
  func closedError(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Loop \"\(name)\" has been shut down, or is about to be, and refused \(call).")
  }

  /// Refuses a call once shutdown has begun.
  @inline(__always)
  func requireRunning(_ call: @autoclosure () -> String) throws(UVError) {
    if lifeState.load(ordering: .acquiring) != Life.running.rawValue { throw closedError(call()) }
  }

  /// Guards calls that need no `await` on the loop: throws where the loop has ended, and where an actor of another loop
  /// calls.
  func requireOnLoop(_ call: @autoclosure () -> String) throws(UVError) {
    try requireRunning(call())
    if !isCurrent { throw offLoopError(call(), "Use `await loop.run { loop in … }` or `loop.post { … }`.") }
  }

  /// For a call that was made off the loop's thread, with what to do instead.
  func offLoopError(_ call: String, _ instead: String) -> UVError {
    requireOwnProcess()
    return UVError(
      .notOnLoop, call: call,
      """
      \(call) must be called on the thread of loop "\(name)", \(threadText), and was called on \
      \(ThreadIdentity.current). \(instead)
      """)
  }
}
