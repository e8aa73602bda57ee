// A pool task is a request of ours in libuv's pool which takes offloaded calls of one loop, one after the other:
//
//   pending ──begins──▶ active ──finds nothing──▶ spinning ──still nothing──▶ ended
//                        │  ▲                        │
//                        │  └───────finds one────────┘
//                        └──has used its budget, and another is pending or nothing waits──▶ ended
//
// One request a call would be simpler, and cost two locks, two wakes and an allocation more for each. One request for
// ever would keep files and names from the pool, which they share: so a pool task ends after its budget, and whatever
// waited in libuv's queue comes before the next pool task. Where all workers have one and calls wait, the loop keeps
// one more pending, to follow the first that ends. It counts what libuv has and not what is pending: a pool task may
// begin when nobody tells the loop, but each that ends comes back to it. One that has used its budget while none is
// pending stays, so that calls go on though the loop's thread is busy.
//
// It spins for some microseconds, since a loop that offloads short calls would otherwise wake a thread for each. While
// it spins it lets other threads have its CPU: where that is the loop's, the next calls come just then.

/// How many pool tasks a loop has, and when one more is worth the thread that it wakes.
///
/// A class for the reason that `WorkQueue` is one.
final class PoolTaskCount {
  /// Queued in libuv's pool, and not begun.
  private(set) var pending = 0
  /// Running a call, or about to take one.
  private(set) var active = 0
  /// Spinning, waiting for one that may come.
  private(set) var spinning = 0
  /// Given to libuv and not given back. Changes on the loop's thread only.
  private(set) var inFlight = 0

  /// To be asked when a call has been queued, and when libuv has given a pool task back. True if one more must be
  /// queued for the calls that wait, and then it is counted.
  ///
  /// - Parameter finishing: How many of the active ones have run their call, and are about to take the next.
  func mustSubmit(forWaiting queued: Int, poolSize: Int, finishing: @autoclosure () -> Int = 0) -> Bool {
    // As many as can run side by side, since each call may block, and one that follows.
    let isAllowed = pending + active + spinning < poolSize || inFlight <= poolSize
    // Those that will take a call anyway.
    guard isAllowed, pending + spinning < queued, pending + spinning + finishing() < queued else { return false }
    pending += 1
    inFlight += 1
    return true
  }

  func begin() {
    pending -= 1
    active += 1
  }

  /// It finds nothing.
  func spin() {
    active -= 1
    spinning += 1
  }

  /// It has spun, and found a call or not.
  func endSpin(found: Bool) {
    spinning -= 1
    if found { active += 1 }
  }

  func end() { active -= 1 }

  /// libuv has given it back, and has called it or not.
  func comeBack(hasBegun: Bool) {
    inFlight -= 1
    if !hasBegun { pending -= 1 }
  }
}
