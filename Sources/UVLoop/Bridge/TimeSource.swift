import Synchronization

/// Where the time comes from that deadlines are compared with: the machine's clock, or a virtual time.
///
/// Everyday code pays for the choice with one load and one branch.
struct TimeSource: Sendable {
  /// Nil for the machine's clock.
  let virtual: VirtualTime?

  /// Nanoseconds: of the monotonic clock, or since the virtual time was made.
  @inline(__always)
  var now: Int64 { if let virtual { virtual.now } else { MonotonicClock.now() } }

  /// The moment that is `span` from now, no earlier than now; the end of time where it cannot be counted.
  @inline(__always)
  func now(plus span: Duration) -> Int64 { now.later(by: span) }
}

/// A time that stands still until somebody moves it, and never goes back.
///
/// One thread moves it; any may read it.
final class VirtualTime: Sendable {
  /// Whether it is to go on by itself where nothing else is left to wait for.
  let jumps: Bool
  private let moment = Atomic<Int64>(0)

  init(jumps: Bool) { self.jumps = jumps }

  /// Nanoseconds since it was made.
  var now: Int64 { moment.load(ordering: .acquiring) }

  /// The last moment that can be reached. `Int64.max` means never, and would come if time stood there.
  static let end = Int64.max - 1

  /// Goes to a moment; stays where it is if that has passed.
  func move(to later: Int64) {
    let later = min(later, VirtualTime.end)
    if later > now { moment.store(later, ordering: .releasing) }
  }
}
