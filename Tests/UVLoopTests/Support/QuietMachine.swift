@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Runs a scenario whose outcome depends on real time, until the machine did not stall meanwhile: a thread that only
/// naps was never late by `limit`. Gives the last outcome, to be judged like any, if the machine never keeps still.
func undisturbed<R>(below limit: Duration, tries: Int = 8, _ scenario: () async throws -> R) async throws -> R {
  var left = tries
  while true {
    let watch = StallWatch()
    let outcome = try await scenario()
    let worst = try await watch.end()
    left -= 1
    if worst < limit || left == 0 { return outcome }
  }
}

/// How late the machine lets a thread run.
private final class StallWatch {
  private let isEnding = Shared(false)
  private let worst = Shared(Duration.zero)
  private let thread: PlainThread

  init() {
    let (isEnding, worst) = (isEnding, worst)
    thread = PlainThread {
      while !isEnding.value {
        let before = MonotonicClock.now()
        usleep(1_000)
        let late = Duration.nanoseconds(MonotonicClock.now() - before) - .milliseconds(1)
        if late > worst.value { worst.value = late }
      }
    }
  }

  func end() async throws -> Duration {
    isEnding.value = true
    try await thread.join()
    return worst.value
  }
}

/// How late a rhythm is, counted in the time that the loop's thread had a CPU: what a loaded machine takes away is not
/// the loop's fault. All calls come on the loop's thread.
final class OwnLateness: Sendable {
  private let clock: EventLoop.Clock
  private let period: Duration
  private let next: Shared<(due: EventLoop.Clock.Instant, seen: Duration?)>

  init(_ clock: EventLoop.Clock, period: Duration) {
    self.clock = clock
    self.period = period
    next = Shared((clock.now.advanced(by: period), nil))
  }

  /// Called by whatever keeps the loop busy, as often as it runs.
  func look() {
    next.update { if $0.seen == nil && clock.now >= $0.due { $0.seen = Self.ownTime() } }
  }

  /// The tick has come: how long others ran while it was due.
  func arrived(_ tick: EventLoop.Clock.Instant) -> Duration {
    let now = Self.ownTime()
    let late = now - (next.value.seen ?? now)
    next.value = (tick.advanced(by: period), nil)
    return late
  }

  private static func ownTime() -> Duration {
    .nanoseconds(Process.ownCPUTime)
  }
}
