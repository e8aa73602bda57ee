/// A moment that a task waits for: the source of `sleep` and of each tick.
struct Sleep: WaitSource {
  typealias Value = Void

  private let deadline: Int64
  private var token = TimerToken.none

  /// - Parameter deadline: In nanoseconds of the loop's time.
  init(until deadline: Int64) { self.deadline = deadline }

  mutating func begin(_ wait: LoopWait<Sleep>) { token = wait.core.timers.insert(.sleeper(wait), at: deadline) }

  /// A shutdown has emptied the timers before.
  func withdraw(_ wait: LoopWait<Sleep>) {
    if !wait.core.waits.areReleased { wait.core.timers.remove(token) }
  }
}

extension LoopCore {
  /// Waits until `deadline`, in nanoseconds of the loop's time, without leaving the loop's thread if called there.
  func sleep(
    until deadline: Int64, _ call: @autoclosure () -> String, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    try await LoopWait(.sleep, for: Sleep(until: deadline), on: self).value(call())
  }
}
