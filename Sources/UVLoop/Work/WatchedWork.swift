/// Something with threads of its own for which work waits: a watchdog looks at it.
///
/// Any thread may call it.
protocol WatchedWork: AnyObject, Sendable {
  /// How people call it, such as `pool "db"`.
  var title: String { get }

  /// What waits and runs now, for each line.
  var loads: [WorkLoad] { get }

  /// From now on `new` learns what runs where. Gives the one before it; throws once nothing will run any more.
  func observe(with new: (any WorkerObserver)?) throws(UVError) -> (any WorkerObserver)?
}

/// Wants to know which thread runs what.
protocol WorkerObserver: AnyObject, Sendable {
  /// On the worker: it is about to run `work`, which runs since then.
  func willRun(_ work: AnyObject, since: Int64)
  /// On the worker: that has ended.
  func didRun(_ work: AnyObject)
  /// On any thread: nothing will run any more, or somebody else wants to know.
  func end()
}

/// One line, and what has the places for which it waits.
struct WorkLoad {
  struct Running {
    /// Kept, so that nothing else has its address meanwhile.
    let work: AnyObject
    let label: String?
    let since: Int64
  }

  /// What has the line.
  let id: ObjectIdentifier
  /// The lane whose line it is; nil for that of the threads themselves.
  var lane: String?
  let queued: Int
  /// Since when the first in line has waited.
  let oldest: Int64?
  /// The oldest first.
  let running: [Running]
}

extension Offload {
  /// Under the lock of its pool: with how long it has waited, or run.
  nonisolated func aged(at now: Int64) -> (Offload, Duration) { unsafe (self, .nanoseconds(max(0, now - since))) }
}

extension WorkLoad.Running {
  init(_ call: Offload) {
    self.init(work: call, label: call.label, since: unsafe call.since)
  }
}
