/// Calls that have waited long for a thread, as ``OffloadPool/startWatchdog(over:signal:_:)``,
/// ``OffloadThread/startWatchdog(over:signal:_:)`` and ``ThreadPool/startWatchdog(over:signal:_:)`` tell while it
/// lasts.
public struct OffloadStall: Sendable, Codable {
  /// A call that has a thread.
  public struct Job: Sendable, Codable {
    /// The label given to the call. For an actor's thread the name of the task, which is known only while that waits in
    /// `runBlocking`.
    public let label: String?
    /// For how long it has run.
    public let age: Duration
    /// Where; nil if that is not known: it had begun before the watch, or has ended meanwhile.
    public let thread: LoopSnapshot.Thread?
    /// The `runBlocking` in which it waits, and for whom; nil if it is in none.
    public let waitsIn: String?
    /// Where its thread stands, the innermost call first. Empty if that is not known: the call had begun before the
    /// watch, has ended meanwhile, or is not one of the sixteen oldest.
    public let stack: StackTrace
  }

  /// What they wait for, such as `pool "db"`, `thread "scanner"` or `libuv's pool`.
  public let work: String
  /// The lane in whose line they wait; nil for that of the threads themselves.
  public let lane: String?
  /// For how long the first in line has waited.
  public let waited: Duration
  /// How many wait.
  public let queued: Int
  /// What they wait for, the oldest first. A lane's places may also be held by calls that wait for a worker of the
  /// pool, which are not listed.
  public let running: [Job]
}

extension OffloadStall: CustomStringConvertible {
  /// What waits, and a paragraph for each call that has a thread, with its stack.
  public var description: String {
    let place = lane.map { "lane \"\($0)\" of \(work)" } ?? work
    let waits = queued == 1 ? "a call waits for \(place)" : "\(queued) calls wait for \(place)"
    let rest = running.isEmpty ? lane == nil ? "Nothing runs." : "Who has places waits too." : "What runs:"
    let first = "\(waits), the first in line for \(waited.text). \(rest)"
    return ([first] + running.map(\.description)).joined(separator: "\n")
  }
}

extension OffloadStall.Job: CustomStringConvertible {
  /// Its label, age, thread and stack.
  public var description: String {
    var text = "\(label.map { "\"\($0)\"" } ?? "a call without a label"), for \(age.text)"
    if let thread { text += ", on \(thread.name) (thread \(thread.id), kernel id \(thread.kernelID))" }
    if let waitsIn { text += ", waits in \(waitsIn)" }
    return text + (stack.isEmpty ? ". Where it stands is not known." : ". It stands in\n\(stack)")
  }
}
