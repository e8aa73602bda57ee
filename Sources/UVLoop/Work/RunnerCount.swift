// A runner is a request of ours in libuv's pool which takes offloaded calls of one loop, one after the other:
//
//   pending ──begins──▶ active ──finds nothing──▶ ended
//                         │
//                         └──has had its share──▶ ended
//
// One request a call would be simpler, and cost two locks, two wakes and an allocation more for each. One request for
// ever would keep files and names from the pool, which they share: so a runner ends after its share, and whatever
// waited in libuv's queue comes before the next runner.

/// How many runners a loop has, and when one more is worth the thread that it wakes.
struct RunnerCount {
  /// Queued in libuv's pool, and not begun.
  private(set) var pending = 0
  /// Running a call, or about to look for one.
  private(set) var active = 0

  /// To be asked when a call has been queued, and when libuv has given a runner back. True if one more runner must be
  /// queued for the calls that wait, and then it is counted.
  mutating func mustSend(forWaiting queued: Int, poolSize: Int) -> Bool {
    if queued == 0 { return false }
    // As many as can run side by side, each of which may block; and one that stands by, so that a runner can leave
    // after its share and the calls behind it still have somebody to come, without a turn of the loop in between.
    let isNeeded = pending + active < poolSize ? pending < queued : pending == 0
    if isNeeded { pending += 1 }
    return isNeeded
  }

  mutating func begin() {
    pending -= 1
    active += 1
  }

  /// Whether a runner that has had its share may end although calls wait: only where another one will come.
  var mayEndBeforeOthers: Bool { pending > 0 }

  mutating func end() { active -= 1 }

  /// It was taken out of libuv's queue, or never got there.
  mutating func withdraw() { pending -= 1 }
}
