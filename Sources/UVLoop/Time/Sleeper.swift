/// One task that waits for a moment. `token` belongs to the loop's thread.
final class Sleeper: @unchecked Sendable {  // Holds because of the line above, and the gate is Sendable.
  let gate: Gate
  private let core: LoopCore
  private var token: TimerToken?

  private init(_ core: LoopCore) {
    self.core = core
    gate = Gate(on: core)
  }

  /// Waits until `deadline`, in nanoseconds of the loop's time, without leaving the loop's thread if called there.
  static func sleep(
    on core: LoopCore, until deadline: Int64, _ call: @autoclosure () -> String,
    isolation: isolated (any Actor)? = #isolation
  ) async throws {
    if Task.isCancelled { throw CancellationError() }
    try core.requireRunning(call())
    let sleeper = Sleeper(core)
    sleeper.begin(deadline)
    await withTaskCancellationHandler {
      _ = isolation
      await sleeper.gate.pass()
    } onCancel: {
      sleeper.cancel()
    }
    switch sleeper.gate.outcome {
    case .cancelled: throw CancellationError()
    case .closed: throw core.closedWhileWaiting(call())
    case .passed, nil: break
    }
  }

  private func begin(_ deadline: Int64) {
    if core.isCurrent {
      enter(deadline)
    } else if !core.tell({ self.enter(deadline) }) {
      gate.fire(.closed)
    }
  }

  private func enter(_ deadline: Int64) {
    // Cancelled before it got here, or too late for shutdown to find it.
    if gate.outcome != nil { return }
    if core.hasReleasedWaits {
      gate.fire(.closed)
    } else {
      token = core.timers.insert(.sleeper(self), at: deadline)
    }
  }

  func expire() { gate.fire(.passed) }

  /// From any thread: resumes the task at once, and then takes the entry out.
  private func cancel() {
    if !gate.fire(.cancelled) { return }
    if core.isCurrent {
      leave()
    } else {
      core.tell { self.leave() }
    }
  }

  private func leave() {
    if let token, !core.hasReleasedWaits { core.timers.remove(token) }
    token = nil
  }
}
