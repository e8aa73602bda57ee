import Synchronization
import UVLoop

extension Growth {
  /// Timers pending: one is cancelled and another one made, or a handle is stopped and started.
  static let timers = Growth(
    "timers", "CPU time to cancel a timer and start another one", over: "timers pending", decades, size: 200_000,
    quickSize: 20_000, only: ".cpu"
  ) { number in
    Workload.timerPeers(pending: number).filter { $0.name != "nio-callback" }
  }

  /// Tasks that sleep: each is started, sleeps, is cancelled and ends.
  static let sleepers = Growth(
    "sleepers", "CPU time to start a task that sleeps, and to cancel it", over: "tasks asleep", decades,
    size: 100_000, quickSize: 20_000, only: ".cpu"
  ) { number in
    [
      Peer("uvloop-swift") { count in
        try await withEventLoop { loop in
          try await sleep(count, atOnce: number, executor: loop.taskExecutor) { try await loop.sleep(for: $0) }
        }
      },
      Peer("conc") { try await sleep($0, atOnce: number, executor: nil) { try await Task.sleep(for: $0) } },
    ]
  }

  private static func sleep(
    _ count: Int, atOnce: Int, executor: (any TaskExecutor)?,
    _ sleep: @escaping @Sendable (Duration) async throws -> Void
  ) async throws -> [Figure] {
    let rounds = max(1, count / atOnce)
    let seen = Seen(rounds * atOnce)
    let begun = Begun()
    let watch = Stopwatch()
    for round in 0..<rounds {
      let tasks = (round * atOnce..<(round + 1) * atOnce).map { id in
        Task.detached(executorPreference: executor) {
          begun.count.add(1, ordering: .relaxed)
          // Only a sleep that is cancelled throws.
          do { try await sleep(.seconds(3_600)) } catch { seen.mark(id) }
        }
      }
      while begun.count.load(ordering: .relaxed) < (round + 1) * atOnce { await Task.yield() }
      for task in tasks { task.cancel() }
      for task in tasks { await task.value }
    }
    let figures = watch.throughput(rounds * atOnce)
    try seen.check()
    return figures
  }

  private final class Begun: Sendable {
    let count = Atomic(0)
  }
}
