import Synchronization

/// What is counted on a loop, and its observer with what that wants to know. Without interest all of this is a load and
/// a branch.
///
/// An object of its own, so that components reach it without the core, which would be retained for each use.
final class LoopObservation: Sendable {
  let observer: any LoopObserver
  let counters = LoopCounters()
  let uptime: LoopUptime
  private let bits = Atomic<UInt8>(0)

  init(_ observer: any LoopObserver, _ uptime: LoopUptime) {
    self.observer = observer
    self.uptime = uptime
  }

  // MARK: On any thread

  @inline(__always)
  var interest: LoopInterest { LoopInterest(rawValue: bits.load(ordering: .relaxed)) }

  /// Calls in progress finish with the setting that they started with.
  func setInterest(_ interest: LoopInterest, _ isWanted: Bool) {
    if isWanted {
      bits.bitwiseOr(interest.rawValue, ordering: .relaxed)
    } else {
      bits.bitwiseAnd(~interest.rawValue, ordering: .relaxed)
    }
  }

  /// Where the caller of the library stands, if anybody wants to know.
  @inline(__always)
  var siteIfWanted: CallSite? { interest.contains(.sites) ? CallSite.capture() : nil }

  /// Gives work the time at which it came, and where it was posted.
  @inline(__always)
  func timestamped(_ work: consuming Work) -> Work {
    interest.contains(.calls) ? addTimestamp(work) : work
  }

  @inline(never)
  private func addTimestamp(_ work: consuming Work) -> Work {
    // A job comes from the runtime, and not from whoever wrote the task.
    let site = work.job == nil ? siteIfWanted : nil
    return .timestamped(TimestampedWork(work, since: MonotonicClock.now(), site: site))
  }

  // MARK: On the loop

  /// Runs somebody's code where an observer sees it.
  @inline(__always)
  func observing(_ call: @autoclosure () -> LoopCall, _ body: () -> Void) {
    if interest.contains(.calls) { observe(call(), body) } else { body() }
  }

  @inline(never)
  private func observe(_ call: LoopCall, _ body: () -> Void) {
    observer.willRun(call)
    body()
    observer.didRun()
  }
}

/// Work that carries along when it came, and from where. Belongs to whoever has the work.
final class TimestampedWork {
  private var work: Work?
  let since: Int64
  let site: CallSite?

  init(_ work: consuming Work, since: Int64, site: CallSite?) {
    self.work = consume work
    self.since = since
    self.site = site
  }

  func take() -> Work? { work.take() }
}
