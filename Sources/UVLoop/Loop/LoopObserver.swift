/// Somebody who wants to know what a loop does. The loop tells it, and does not know what it makes of that.
///
/// All calls but `loopWasDropped` come on the loop's thread, and none nests in another.
protocol LoopObserver: AnyObject, Sendable {
  /// Around each call of somebody's code, while there is interest in calls.
  func willRun(_ call: LoopCall)
  func didRun()
  /// What runs turns out to be this task.
  func identify(_ name: String?)
  /// Before each poll, while there is interest in iterations.
  func willPoll()
  /// The loop's handles, timers or offloaded calls have come to be.
  func didAdd(_ component: any LoopComponent)
  /// Before the loop is closed.
  func loopEnds()
  /// Nobody holds an inactive handle of this kind any more, and so it closes, while there is interest in sites.
  func handleWasDropped(_ typeName: StaticString, _ site: CallSite)
  /// A handle of this kind has kept the loop from waiting for long, while there is interest in sites.
  func loopNeverWaits(_ typeName: StaticString, _ site: CallSite)
  /// The loop was dropped without shutdown: says so, on standard error.
  func loopWasDropped(_ sentence: String)
  /// Before those that wait for the shutdown go on: what was to be written is written when this returns.
  func shutdownReturns()
}

/// What an observer wants to be told. Nothing, on most loops, and that is asked with one load.
struct LoopInterest: OptionSet {
  let rawValue: UInt8

  /// What runs: then each thing carries along when it came.
  static let calls = LoopInterest(rawValue: 1)
  /// From where things were started: then handles and calls carry the stack of their making.
  static let sites = LoopInterest(rawValue: 2)
  /// How long each iteration takes.
  static let iterations = LoopInterest(rawValue: 4)
}

/// One thing that a loop runs.
struct LoopCall {
  let kind: CallKind
  var label: String?
  var site: CallSite?
  /// When it could have run, in nanoseconds of the monotonic clock: when it was posted, or was due.
  var since: Int64?
}
