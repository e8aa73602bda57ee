import Testing

@testable import UVLoop

/// Something that happens once, or several times, and that others wait for under a deadline.
final class Event: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  struct TimedOut: Error, CustomStringConvertible {
    let description: String
  }

  private let lock = Lock()
  private let name: String
  private var count = 0
  private var waiters: [(target: Int, id: Int, continuation: CheckedContinuation<Bool, Never>)] = []
  private var lastID = 0

  init(_ name: String = "event") { self.name = name }

  func signal() {
    let ready = lock.withLock {
      count += 1
      lock.wakeAll()
      let ready = waiters.filter { $0.target <= count }
      waiters.removeAll { $0.target <= count }
      return ready
    }
    for waiter in ready { waiter.continuation.resume(returning: true) }
  }

  var hasHappened: Bool { lock.withLock { count > 0 } }

  /// Waits until it has happened `times`; throws when that takes longer than the limit.
  func wait(times: Int = 1, within limit: Duration = .seconds(20)) async throws {
    let id = lock.withLock {
      lastID += 1
      return lastID
    }
    // In slices, so that a pool without a free thread eats one of them and not the whole limit.
    let timer = Task {
      for _ in 0..<20 { try await Task.sleep(for: limit / 20) }
      giveUp(id)
    }
    let happened = await withCheckedContinuation { continuation in
      let isReady = lock.withLock {
        if count >= times { return true }
        waiters.append((times, id, continuation))
        return false
      }
      if isReady { continuation.resume(returning: true) }
    }
    timer.cancel()
    if !happened { throw TimedOut(description: "\(name) did not happen \(times) times within \(limit)") }
  }

  private func giveUp(_ id: Int) {
    let waiter = lock.withLock {
      let waiter = waiters.first { $0.id == id }
      waiters.removeAll { $0.id == id }
      return waiter
    }
    waiter?.continuation.resume(returning: false)
  }

  /// The same for a plain thread or an offloaded call; false when it takes longer than the limit.
  @discardableResult
  func waitBlocking(times: Int = 1, within limit: Duration = .seconds(20)) -> Bool {
    let deadline = MonotonicClock.now(plus: limit)
    return lock.withLock {
      while count < times {
        if !lock.wait(until: deadline) { return count >= times }
      }
      return true
    }
  }
}

/// Asks again and again, for what has no event of its own: the kernel's tables, a weak reference, a counter of libuv's.
func eventually(within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async rethrows -> Bool {
  // Time alone does not count: on a busy machine it passes without anybody having had a turn. Nor do iterations of a
  // loop's thread, while Swift's pool is behind: what is waited for may need the pool.
  let deadline = MonotonicClock.now(plus: limit)
  var iterations = 0
  var turnsOfPool = 0
  while true {
    if try await condition() { return true }
    iterations += 1
    if iterations > 100 && MonotonicClock.now() > deadline {
      if turnsOfPool == 10 { return false }
      turnsOfPool += 1
      await Task.detached(priority: .background) {}.value
    }
    try? await Task.sleep(for: .milliseconds(1))
  }
}
