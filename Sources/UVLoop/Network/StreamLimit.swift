/// What has an idle limit: one side of a stream.
protocol IdleLimited: AnyObject {
  /// Whether somebody waits, so that the limit counts.
  var isWaiting: Bool { get }
  /// For so long nothing has moved.
  func expire(_ limit: Duration)
}

/// How long one side of a stream may wait without a byte. Belongs to the loop's thread.
///
/// A byte moves no timer: it notes the time, and when the one timer ends somebody looks how long ago that was.
final class StreamLimit: LoopDeadline {
  let span: Duration
  private let core: LoopCore
  private weak var side: (any IdleLimited)?
  /// When the last byte moved, or the wait began, in nanoseconds of the loop's time.
  private var last: Int64 = 0
  private var token: TimerToken?

  init(_ core: LoopCore, _ span: Duration, of side: any IdleLimited) {
    self.core = core
    self.span = span
    self.side = side
    if side.isWaiting { begin() }
  }

  /// A wait begins.
  func begin() {
    note()
    // One that runs already ends sooner, and then somebody looks.
    if token == nil { arm(last.later(by: span)) }
  }

  /// A byte has moved.
  func note() { last = core.time.now }

  private func arm(_ deadline: Int64) {
    if deadline == .max || core.waits.areReleased { return }
    token = core.timers.insert(.limit(self), at: deadline)
  }

  func expire() {
    token = nil
    guard let side, side.isWaiting else { return }
    let due = last.later(by: span)
    if due <= core.time.now { side.expire(span) } else { arm(due) }
  }

  func drop() { token = nil }

  func end() {
    if let token { core.timers.remove(token) }
    token = nil
  }
}
