@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Tells of tests that run for very long. Swift Testing says of all tests at the start that they have started, so that
/// its output does not show which one hangs.
final class RunningCases: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  static let shared = RunningCases()

  private let lock = Lock()
  private var cases: [Int: (name: String, began: Int64, isEnqueued: Bool)] = [:]
  private var last = 0

  private init() {
    // A thread of its own: where tests hang Swift's pool may have no thread to spare. It lasts as long as the process.
    PlainThread {
      while true {
        sleep(10)
        self.tell(over: .seconds(60))
      }
    }
  }

  func begin(_ name: String) -> Int {
    lock.withLock {
      last += 1
      cases[last] = (name, MonotonicClock.now(), false)
      return last
    }
  }

  func end(_ number: Int) { lock.withLock { cases[number] = nil } }

  private func tell(over limit: Duration) {
    let now = MonotonicClock.now()
    let late = lock.withLock {
      let late = cases.filter { !$0.value.isEnqueued && .nanoseconds(now - $0.value.began) > limit }
      for number in late.keys { cases[number]?.isEnqueued = true }
      return late.values.map(\.name).sorted()
    }
    for name in late {
      let line = "still running after \(limit.text): \(name)\n"
      _ = unsafe write(STDERR_FILENO, line, line.utf8.count)
    }
  }
}
