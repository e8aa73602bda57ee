/// What has an idle limit: one side of a stream.
protocol IdleLimited: AnyObject {
  /// Since when the longest of its waits lasts, in nanoseconds of the loop's time; nil while nobody waits.
  var waitingSince: Int64? { get }
  /// For so long nothing has moved: the waits that have lasted as long are to end.
  func expire(_ limit: Duration)
}

/// How long one side of a stream may wait without a byte. Belongs to the loop's thread.
///
/// A byte moves no timer: it notes the time, and when the one timer ends somebody looks how long ago that was.
final class StreamLimit: LoopDeadline {
  let span: Duration
  private let loop: LoopCore
  private weak var side: (any IdleLimited)?
  /// When the last byte moved, or the limit was set, in nanoseconds of the loop's time.
  private var last: Int64
  private var token: TimerToken?

  init(_ loop: LoopCore, _ span: Duration, of side: any IdleLimited) {
    self.loop = loop
    self.span = span
    self.side = side
    last = loop.time.now
    if side.waitingSince != nil { begin() }
  }

  /// A wait begins.
  func begin() {
    // One that runs already ends sooner, and then somebody looks.
    if token == nil { arm(loop.time.now.later(by: span)) }
  }

  /// A byte has moved.
  func note() { last = loop.time.now }

  private func arm(_ deadline: Int64) {
    if deadline == .max || loop.waits.areReleased { return }
    token = loop.timers.insert(.limit(self), at: deadline)
  }

  func expire() {
    token = nil
    guard let side, let due else { return }
    if due > loop.time.now { return arm(due) }
    side.expire(span)
    // Of several waits one may have begun later.
    if let due = self.due { arm(due) }
  }

  /// When the longest wait ends if no byte moves before.
  private var due: Int64? { (side?.waitingSince).map { max(last, $0).later(by: span) } }

  func drop() { token = nil }

  func end() {
    if let token { loop.timers.remove(token) }
    token = nil
  }
}
