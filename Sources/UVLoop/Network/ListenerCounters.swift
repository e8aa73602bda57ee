import Synchronization

/// What a listener counts on its loop, and anybody may read.
final class ListenerCounters: Sendable {
  let accepted = LoopCounter()
  let open = LoopCounter()
  let failed = LoopCounter()
  let backOffs = LoopCounter()

  var snapshot: ListenerStatistics {
    ListenerStatistics(
      accepted: accepted.value, open: open.value, failed: failed.value, backOffs: backOffs.value)
  }
}
