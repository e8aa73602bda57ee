// A call could never begin if each worker that could take it is held by a call that blocks, in `runBlocking` or for the
// end of a pool or a loop, for something which waits itself for a call that could never begin. With one pool that is a
// circle; with several it may lead through all of them, and the largest set of calls that hold each other up is found
// by taking away from all of them, again and again, those that somebody may still let go.

/// Who holds up whom, over all pools at one moment.
struct OffloadDeadlock {
  /// A pool, or a lane: how many calls have a place at once, and which do and which wait.
  struct Pool {
    let title: String
    var places = "workers"
    /// What to do that it takes more.
    let growth: String
    let size: Int
    let running: [Offload]
    var waiting: [Offload]
    /// Where those that get a place here wait for the next one.
    var below: Int?
  }

  private let pools: [Pool]
  /// The pools of which every worker is held for ever.
  private(set) var stuck: Set<Int>

  init(_ pools: [Pool]) {
    self.pools = pools
    stuck = Set(pools.indices)
    var before = -1
    while stuck.count != before {
      before = stuck.count
      let hopeless = stuck.flatMap { pools[$0].waiting }
      stuck = stuck.filter { index in
        let pool = pools[index]
        if let below = pool.below, stuck.contains(below) { return true }
        return pool.running.count >= pool.size
          && pool.running.allSatisfy { call in
            // Most neither block nor, in a lane, wait themselves.
            let mayBeHeld = unsafe call.isBlocked || call.line != nil
            return mayBeHeld && hopeless.contains { $0 === call || $0.isAwaited(by: call) }
          }
      }
    }
  }

  /// What waits and could never begin, and holds somebody up who waits for it; and where it waits.
  var hopeless: [(call: Offload, index: Int)] {
    let holders = stuck.flatMap { pools[$0].running }.filter(\.isBlocked)
    return stuck.flatMap { index in
      pools[index].waiting.filter { call in holders.contains { call.isAwaited(by: $0) } }.map { ($0, index) }
    }
  }

  /// Why a call is refused that would wait in one of them.
  func refusal(of call: Offload, in index: Int) -> UVError {
    let pool = pools[index]
    // Its own places may be free, and of no use.
    if let below = pool.below, stuck.contains(below) { return refusal(of: call, in: below) }
    let labels = pool.running.map(\.title).joined(separator: ", ")
    let others = stuck.subtracting([index]).sorted().map { pools[$0] }.filter { !$0.waiting.isEmpty }.map(\.title)
    let circle = others.isEmpty ? "" : ", some by way of \(others.joined(separator: ", "))"
    return UVError(
      .wouldDeadlock, call: "offload",
      """
      \(call.title) could never begin: all \(pool.running.count) \(pool.places) of \(pool.title) are held by calls \
      that wait in runBlocking for the pool\(circle): \(labels). Do not offload from inside an offloaded call, or \
      \(pool.growth). The call came from \(ThreadIdentity.current).
      """)
  }
}
