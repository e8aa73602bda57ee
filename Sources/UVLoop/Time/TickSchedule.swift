// When the next tick is due. Pure: the caller has the clock and does the sleeping.
//
// A tick is named by its nominal instant. On schedule that is `start + n · period` for n = 1, 2, 3 …, so that lateness
// does not add up. After a stall the tick that is overdue is delivered at once, under its own name, and the policy says
// which one comes after it:
//   burst   the next of the schedule, so that every missed tick comes, all at once
//   delay   one period from now, and the schedule moves there
//   skip    the first of the original schedule that is still to come
//
// A stall shows in two places: the consumer asks late (`next`), or the wait for a tick ends late because the loop was
// busy (`delivered`). Both mean the same to the one who waits for ticks, so both apply the policy.

/// The nominal instants of a periodic event, in nanoseconds of any monotonic clock.
///
/// Instants saturate: past the end of `Int64` the next tick is at `Int64.max`, which never comes.
struct TickSchedule {
  private let period: Int64
  private let missed: MissedTicks
  /// The tick that `next` gave last, and the one that it gives next.
  private var latest: Int64
  private var upcoming: Int64

  /// The first tick is at `start + period`; the period must be positive.
  init(start: Int64, period: Int64, missed: MissedTicks) {
    precondition(period > 0, "a TickSchedule needs a positive period; refuse others before you make one")
    self.period = period
    self.missed = missed
    latest = start
    upcoming = start.saturatingAdding(period)
  }

  /// The nominal instant of the next tick: wait for it, or deliver it at once if it is not after `now`.
  ///
  /// - Parameter now: The time of the question; a tick before it is overdue, and brings the policy into play.
  mutating func next(now: Int64) -> Int64 {
    latest = upcoming
    if now > latest { resume(after: now) } else { upcoming = latest.saturatingAdding(period) }
    return latest
  }

  /// Says when the wait for the latest tick really ended; needed only where that may be late by a period or more.
  ///
  /// Without a tick missed nothing changes: a timer's usual lateness must not shift a `delay` schedule.
  mutating func delivered(at now: Int64) {
    if now >= latest.saturatingAdding(period) { resume(after: now) }
  }

  /// Chooses the tick after `latest`, which is delivered late, at `now`.
  private mutating func resume(after now: Int64) {
    switch missed {
    case .burst: upcoming = latest.saturatingAdding(period)
    case .delay: upcoming = now.saturatingAdding(period)
    case .skip:
      let (late, overflow) = now.subtractingReportingOverflow(latest)
      // The overdue tick is itself on the schedule, so the schedule can be counted on from it.
      let ahead = overflow ? .max : period - late % period
      upcoming = now.saturatingAdding(ahead)
    }
  }
}
