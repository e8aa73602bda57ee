// A runner is a request of ours in libuv's pool which takes offloaded calls of one loop, one after the other:
//
//   pending ──begins──▶ active ──finds nothing──▶ looking ──still nothing──▶ ended
//                        │  ▲                        │
//                        │  └───────finds one────────┘
//                        └──has had its share, and finds nothing or is relieved──▶ ended
//
// One request a call would be simpler, and cost two locks, two wakes and an allocation more for each. One request for
// ever would keep files and names from the pool, which they share: so a runner ends after its share, and whatever
// waited in libuv's queue comes before the next runner. It asks for its relief first, and stays until that is queued,
// so that calls go on though the loop's thread is busy.
//
// It looks for some microseconds, since a loop that offloads short calls would otherwise wake a thread for each. While it
// looks it lets other threads have its CPU: where that is the loop's, the next calls come just then.

/// How many runners a loop has, and when one more is worth the thread that it wakes.
struct RunnerCount {
  /// Queued in libuv's pool, and not begun.
  private(set) var pending = 0
  /// Running a call, or about to look for one.
  private(set) var active = 0
  /// Looking for one that may come.
  private(set) var looking = 0
  /// An active one has had its share while calls waited, and none was pending.
  private(set) var wantsRelief = false

  /// To be asked when a call has been queued, when a runner has asked for its relief, and when libuv has given one back.
  /// True if one more must be queued for the calls that wait, and then it is counted.
  ///
  /// - Parameter finishing: How many of the active ones have run their call, and are about to look for the next.
  mutating func mustSend(forWaiting queued: Int, poolSize: Int, finishing: @autoclosure () -> Int = 0) -> Bool {
    // As many as can run side by side, since each call may block; beyond that only a relief.
    let isNeeded =
      pending + active + looking < poolSize
      ? pending + looking < queued && pending + looking + finishing() < queued
      : wantsRelief && pending == 0 && looking == 0 && queued > 0
    if isNeeded { pending += 1 }
    if pending > 0 { wantsRelief = false }
    return isNeeded
  }

  mutating func begin() {
    pending -= 1
    active += 1
  }

  /// A runner has had its share, and calls wait. True if it may end, since another one will come; if not, it must ask the
  /// loop for one.
  mutating func mayEndBeforeOthers() -> Bool {
    if pending == 0 { wantsRelief = true }
    return pending > 0
  }

  /// It finds nothing.
  mutating func look() {
    active -= 1
    looking += 1
  }

  /// It has looked, and found a call or not.
  mutating func endLook(found: Bool) {
    looking -= 1
    if found { active += 1 }
  }

  mutating func end() { active -= 1 }

  /// It was taken out of libuv's queue.
  mutating func withdraw() { pending -= 1 }
}
