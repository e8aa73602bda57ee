/// Who begins the wait for a moment. The wait's argument is the deadline, in nanoseconds of the loop's time.
final class Sleep: WaitOwner, Sendable {
  static let owner = Sleep()

  func begin(_ wait: LoopWait) { wait.token = wait.core.timers.insert(.sleeper(wait), at: wait.argument) }

  /// A shutdown has emptied the timers before.
  func withdraw(_ wait: LoopWait) {
    if !wait.core.waits.areReleased { wait.core.timers.remove(wait.token) }
  }
}

extension LoopCore {
  /// Waits until `deadline`, in nanoseconds of the loop's time, without leaving the loop's thread if called there.
  func sleep(
    until deadline: Int64, _ call: @autoclosure () -> String, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    try await LoopWait(.sleep, on: self, owner: Sleep.owner, deadline).value(call())
  }
}
