/// A result that one task leaves, and that another one waits for at a gate of the loop.
final class Handover<R>: @unchecked Sendable {  // Holds because who reads `result` has seen that the gate passed.
  private let gate: Gate
  private var result: Result<Transfer<R>, any Error> = .failure(CancellationError())

  init(on core: LoopCore) { gate = Gate(on: core) }

  /// Leaves the result, once. Where the other one has gone it is dropped here.
  func leave(_ result: Result<Transfer<R>, any Error>) {
    self.result = result
    if !gate.fire(.passed) { self.result = .failure(CancellationError()) }
  }

  /// Lets the other one go with a `CancellationError`, unless a result is there.
  func abandon() { gate.fire(.cancelled) }

  /// Waits for the result, also in a task that is cancelled meanwhile: `cancel` decides what that means.
  func wait(
    isolation: isolated (any Actor)?, onCancel cancel: @Sendable () -> Void
  ) async -> Result<Transfer<R>, any Error> {
    await withTaskCancellationHandler {
      _ = isolation
      if gate.outcome == nil { await gate.pass() }
    } onCancel: {
      cancel()
    }
    return gate.outcome == .passed ? result : .failure(CancellationError())
  }
}
