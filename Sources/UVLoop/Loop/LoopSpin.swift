import CLibUV
import Synchronization

// To spin for a moment, looking for work, before going to sleep spares the poster a system call and the loop the wake:
// across CPUs that is a quarter of a microsecond in place of fifty. On one CPU it does harm, since the poster cannot go
// on while the loop spins, and so it depends on where the last poster ran. And it is for loops that are being talked
// to: one spin for each thing that came, never for time or descriptors, so that an idle loop sleeps.

/// Spins, waiting for work from other threads, before a loop blocks, for at most as long as its options say.
final class LoopSpin: Sendable {
  private let limit: Int64
  /// How many items have come, and the CPU on which the last one was posted, from 1; 0 where that is not known.
  private let arrivals = Atomic<Int>(0)
  private let posterCPU = Atomic<Int32>(0)
  /// How many the loop has taken, and how many it had when it spun last.
  private let taken = Atomic<Int>(0)
  private let seen = Atomic<Int>(0)
  private let counted = Atomic<Int>(0)

  init(for limit: Duration) { self.limit = limit.saturatingNanoseconds }

  // MARK: On any thread

  /// How often the loop has spun.
  var spins: Int { counted.load(ordering: .relaxed) }

  /// Whoever posts, under the inbox's lock.
  func noteArrival() {
    posterCPU.store(clibuv_cpu() + 1, ordering: .relaxed)
    arrivals.add(1, ordering: .relaxed)
  }

  // MARK: On the loop

  /// The loop, under the inbox's lock, when it takes what has come.
  func noteTaken() { taken.store(arrivals.load(ordering: .relaxed), ordering: .relaxed) }

  /// On the loop's thread, before it says that it sleeps. Returns when something has come, or at the end of the time.
  func run(atMost rest: Int64) {
    let before = taken.load(ordering: .relaxed)
    // Nothing has come since the last spin: the loop was woken by something else, or has spun long enough.
    if before == seen.load(ordering: .relaxed) { return }
    seen.store(before, ordering: .relaxed)
    if arrivals.load(ordering: .relaxed) != before { return }
    counted.add(1, ordering: .relaxed)
    let end = MonotonicClock.now() + min(limit, rest)
    repeat {
      let cpu = posterCPU.load(ordering: .relaxed)
      if cpu == 0 || cpu == clibuv_cpu() + 1 { return }
      // The clock costs as much as some checks.
      for _ in 0..<16 {
        if arrivals.load(ordering: .relaxed) != before { return }
        clibuv_pause()
      }
    } while MonotonicClock.now() < end
  }
}
