import CLibUV

// A loop whose time is virtual goes on in time when nothing but time is left to wait for, and no sooner:
//
//   busy      something is due or queued, or ran since the last poll
//   looking   nothing is, and the loop polls once without waiting: a descriptor that was started just now is handed to
//             the kernel in the poll, and what libuv keeps for the next turn comes there
//   idle      that poll led to nothing, no descriptor is ready, and no offloaded call is under way
//
// Where the time may not go on the loop blocks, as it does on real time: what it waits for wakes it.

extension LoopCore {
  /// Before the poll, on a loop whose time is virtual: whether the loop may block, as far as time is concerned.
  func mayWaitForTime(unless isBusy: Bool) -> Bool {
    // In a shutdown nobody waits for time any more.
    if life != .running { return !isBusy }
    if isBusy || !local.isEmpty {
      jobsAtLook = nil
      return false
    }
    if jobsAtLook != counters.jobs.value {
      jobsAtLook = counters.jobs.value
      return false
    }
    // Whatever comes next, the loop must look again after it.
    jobsAtLook = nil
    // Our own handle would make libuv say that it has something to do.
    keepTurning(false)
    if !components.allSatisfy(\.isQuiet) { return true }
    // Not left to the poll, which waits though a watcher is only about to be handed to the kernel.
    if machinery.isReady { return false }
    // As late as can be: of a post that comes now nobody can say whether it was before the time went on, or after.
    inbox.take(into: local)
    if !local.isEmpty { return false }
    for component in components where component.passIdle() { return false }
    return true
  }
}
