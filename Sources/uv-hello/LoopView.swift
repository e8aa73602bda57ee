import UVLoop

/// A loop at one moment, as rows for people and as fields for programs.
struct LoopView {
  /// The loop that was blocked, as the watchdog has seen it.
  struct Stall {
    let label: String?
    let kind: String
    let lasted: Duration
    let stack: [String]
    /// How long it took in the end, and when that was.
    var end: (ran: Duration, at: ContinuousClock.Instant)?

    init(_ stall: UVLoop.Stall) {
      label = stall.running?.label
      kind = stall.running?.kind.rawValue ?? "unknown"
      lasted = stall.lasted
      stack = stall.stack.frames
    }
  }

  let thread: ThreadIdentity
  let snapshot: LoopSnapshot
  let metrics: LoopMetrics
  /// About a second before.
  let earlier: LoopMetrics
  let stall: Stall?

  var utilisation: Double { metrics.utilisation(since: earlier) ?? 0 }
  var lag: LatencyHistogram { metrics.lag.since(earlier.lag) }

  /// For people. Always as many of them, so that a picture does not jump.
  var rows: [(label: String, text: String)] {
    [
      ("loop", "\(snapshot.loop), \(snapshot.state.rawValue)"),
      ("its thread", "\(thread)"),
      ("runs", snapshot.running.map { "\(titled($0.kind.rawValue, $0.label)), for \(text($0.age))" } ?? "nothing"),
      ("utilisation", bar(utilisation)),
      (
        "lag",
        lag.count == 0
          ? "none measured"
          : "p50 \(text(lag.percentile(0.5)))   p99 \(text(lag.percentile(0.99)))   max \(text(lag.percentile(1)))"
      ),
      ("a second", rates),
      ("waits to run", "\(snapshot.queued)"),
      ("handles", handles),
      ("sleeping tasks", waits(snapshot.sleepers)),
      ("scheduled calls", waits(snapshot.scheduledCalls)),
      ("tasks", "\(snapshot.tasks.count)"),
      (
        "offloaded calls",
        "\(snapshot.offloadsRunning.count) run, \(snapshot.offloadsQueued.count) wait; libuv's pool has"
          + " \(ThreadPool.size) workers"
      ),
    ] + offloads + lastStall
  }

  private var handles: String {
    let kinds = Dictionary(grouping: snapshot.handles, by: \.kind).sorted { $0.key < $1.key }
    let due = snapshot.handles.compactMap(\.dueIn).min().map { ", the next due in \(text($0))" } ?? ""
    return kinds.isEmpty ? "none" : kinds.map { "\($1.count) \($0)" }.joined(separator: ", ") + due
  }

  private func waits(_ waits: [LoopSnapshot.Wait]) -> String {
    guard let due = waits.first?.dueIn else { return "none" }
    return "\(waits.count), the next " + (due < .zero ? "late by \(text(.zero - due))" : "due in \(text(due))")
  }

  private var offloads: [(label: String, text: String)] {
    (0..<ThreadPool.size).prefix(4).map { index in
      if index >= snapshot.offloadsRunning.count { return ("", "–") }
      let call = snapshot.offloadsRunning[index]
      return ("", "\(call.label ?? "a call"), for \(text(call.age))")
    }
  }

  private var lastStall: [(label: String, text: String)] {
    let shown = 6
    guard let stall else {
      return [("last stall", "none yet")] + Array(repeating: ("", ""), count: shown)
    }
    let title = titled(stall.kind, stall.label)
    let time = stall.end.map { "blocked for \(text($0.ran)), \(text($0.at.duration(to: .now))) ago" }
    let frames = stall.stack.prefix(shown).enumerated().map { (label: "", text: "\($0.offset)  \($0.element)") }
    return [("last stall", "\(title) \(time ?? "blocks, for \(text(stall.lasted)) when it was seen")")] + frames
      + Array(repeating: ("", ""), count: shown - frames.count)
  }

  private func titled(_ kind: String, _ label: String?) -> String { label.map { "\(kind) \"\($0)\"" } ?? kind }

  private func text(_ time: Duration) -> String { Value.time(time).text }

  private var rates: String {
    let span = metrics.elapsed - earlier.elapsed
    if span < .milliseconds(100) { return "not known yet" }
    func rate(_ counter: KeyPath<LoopMetrics, Int>) -> Int {
      Int((Double(metrics[keyPath: counter] - earlier[keyPath: counter]) / (span / .seconds(1))).rounded())
    }
    return "\(rate(\.iterations)) iterations, \(rate(\.jobs)) jobs, \(rate(\.callbacks)) callbacks"
  }

  private func bar(_ share: Double) -> String {
    let cells = 40
    let filled = Int((share * Double(cells)).rounded())
    let number = Value.share(share).text
    return String(repeating: " ", count: max(0, 5 - number.count)) + number + "  "
      + String(repeating: "█", count: filled) + String(repeating: "░", count: cells - filled)
  }
}
