extension EventLoop {
  /// A rhythm: the nominal moments `period`, 2 × `period`, … from the start of the iteration.
  ///
  /// ```swift
  /// for try await tick in try loop.ticks(every: .seconds(1)) {
  ///   print(tick)
  /// }
  /// ```
  ///
  /// Each element comes at its nominal moment or, on an idle machine, up to 2 ms later (of a long period up to a
  /// thousandth later, as with ``EventLoop/sleep(for:tolerance:)``), and never before. The nominal schedule does not
  /// drift, however long the body of the `for` takes; `missed` says what happens when it takes longer than a period.
  ///
  /// - Parameters:
  ///   - period: More than zero, counted in nanoseconds.
  ///   - missed: What happens to ticks that come while nobody asks for them.
  /// - Throws: ``UVError/Code/invalidArgument`` for a period of zero or less.
  ///
  /// > Isolation: Call it from anywhere and iterate anywhere; on the loop a tick causes no hop.
  ///
  /// > Cancellation: Ends the iteration. At shutdown `next` throws ``UVError/Code/loopClosed``.
  public nonisolated func ticks(every period: Duration, missed: MissedTicks = .skip) throws(UVError) -> Ticks {
    if period <= .zero {
      throw UVError(
        .invalidArgument, call: "EventLoop.ticks",
        "A period of \(period) is not one: it must be greater than zero. To let others run use `Task.yield()`.")
    }
    return Ticks(loop: core, period: period.saturatingNanoseconds, missed: missed)
  }
}

/// An endless sequence of the nominal moments of a rhythm, as ``EventLoop/ticks(every:missed:)`` makes it.
///
/// It may be iterated more than once, also at the same time: each iteration has a rhythm of its own.
///
/// > Ownership: It does not keep the `EventLoop`.
public struct Ticks: AsyncSequence, Sendable {
  /// The nominal moment of a tick. It came then, or later.
  public typealias Element = EventLoop.Clock.Instant

  fileprivate let loop: LoopCore
  fileprivate let period: Int64
  fileprivate let missed: MissedTicks

  /// Begins the rhythm: the first tick comes one period from now.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(
      loop: loop, schedule: TickSchedule(start: loop.time.now, period: period, missed: missed))
  }

  /// Where one iteration stands.
  public struct AsyncIterator: AsyncIteratorProtocol {
    private let loop: LoopCore
    private var schedule: TickSchedule
    /// Of the last tick, for the next.
    private var wait: LoopWait?

    fileprivate init(loop: LoopCore, schedule: TickSchedule) {
      self.loop = loop
      self.schedule = schedule
    }

    /// Waits for the next tick; nil when the task is cancelled.
    ///
    /// - Throws: ``UVError/Code/loopClosed`` when the loop has shut down.
    public mutating func next() async throws -> Element? { try await next(isolation: nil) }

    /// Waits for the next tick, in the isolation of the caller; nil when the task is cancelled.
    ///
    /// - Throws: ``UVError/Code/loopClosed`` when the loop has shut down.
    public mutating func next(isolation: isolated (any Actor)?) async throws -> Element? {
      if Task.isCancelled { return nil }
      let nominal = schedule.next(now: loop.time.now)
      do {
        let wait = LoopWait.renew(wait, .tick, on: loop, owner: Sleep.owner, nominal)
        self.wait = wait
        try await wait.value("Ticks.next")
      } catch is CancellationError {
        return nil
      }
      schedule.delivered(at: loop.time.now)
      return Element(nanoseconds: nominal)
    }
  }
}

/// What happens to ticks that were missed, because the consumer or the loop was busy.
///
/// Whichever it is, the first tick after the stall comes at once, with the instant at which it should have come. Take a
/// period of 100 ms and a consumer that is busy from tick 2, at 200 ms, until 550 ms:
///
/// | policy | comes at once | then |
/// |---|---|---|
/// | `burst` | 300, 400, 500 | 600, 700 … |
/// | `delay` | 300 | 650, 750 … |
/// | `skip` | 300 | 600, 700 … |
public enum MissedTicks: Sendable, Hashable {
  /// Every missed tick comes, one after the other without a pause: no tick is ever lost.
  case burst

  /// One missed tick comes, and the schedule starts anew from there: two ticks are never closer than a period.
  case delay

  /// One missed tick comes, the others are left out: the schedule stays on its multiples of the period.
  case skip
}
