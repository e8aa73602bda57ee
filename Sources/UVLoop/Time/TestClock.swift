// still ──begin──▶ advancing ──it is where it shall be, cancelled, shutdown──▶ still
//
// A loop with a virtual time asks here each time that nothing but time is left to wait for. An advance that somebody
// has asked for comes first; where there is none, a time that jumps goes to the next deadline by itself.

/// Advances the virtual time of a loop. Belongs to the loop's thread.
final class TestClock {
  /// One advance, which a task waits for.
  final class Advance: WaitOwner, @unchecked Sendable {  // Holds because its task reads it when the wait has ended.
    fileprivate var steps: ClockAdvance
    private let call: String

    init(_ extent: ClockAdvance.Extent, _ call: String) {
      steps = ClockAdvance(extent)
      self.call = call
    }

    /// The deadline that an advance to the next one went to.
    var reached: Int64? { steps.reached }

    func begin(_ wait: LoopWait) {
      if wait.loop.timers.testClock?.begin(self, wait) == true { return }
      wait.resume(
        throwing: UVError(
          .busy, call: call,
          "Another task advances the clock of loop \"\(wait.loop.name)\". Await the end of that before you do.")
      )
    }

    func withdraw(_ wait: LoopWait) {}
  }

  private let time: VirtualTime
  private var current: (advance: Advance, wait: LoopWait)?

  init(_ time: VirtualTime) { self.time = time }

  /// False if another advance is under way. One that was cancelled is over, though it is still noted here.
  private func begin(_ advance: Advance, _ wait: LoopWait) -> Bool {
    if isAdvancing { return false }
    current = (advance, wait)
    return true
  }

  /// Whether an advance is under way.
  var isAdvancing: Bool { current.map { $0.wait.end == nil } ?? false }

  /// Nothing is due or ready. True if that has changed.
  ///
  /// - Parameters:
  ///   - earliest: The earliest deadline; nil if none will ever come.
  ///   - isAlone: Whether nothing else on the loop may call back.
  func goOn(earliest: Int64?, isAlone: @autoclosure () -> Bool) -> Bool {
    if let current, current.wait.end == nil {
      switch current.advance.steps.next(earliest: earliest) {
      case .go(let moment):
        time.move(to: moment)
      case .end(let moment):
        if let moment { time.move(to: moment) }
        self.current = nil
        current.wait.resume()
      }
      return true
    }
    current = nil
    guard time.jumps, let earliest, isAlone() else { return false }
    time.move(to: earliest)
    return true
  }

  /// Shutdown.
  func releaseWaits() { current?.wait.endClosed() }
}

// MARK: - On the loop: the task that advances

extension TestClock {
  /// Advances the virtual time of a loop, and waits for that; gives the deadline that an advance to the next one went
  /// to.
  static func advance(
    _ loop: LoopCore, _ call: String, isolation: isolated (any Actor)?, _ extent: (TimeSource) -> ClockAdvance.Extent
  ) async throws -> Int64? {
    try Task.checkCancellation()
    if loop.time.virtual == nil {
      throw UVError(
        .invalidArgument, call: call,
        """
        Loop "\(loop.name)" runs on real time, which \(call) cannot move. Make it with \
        EventLoop.Options(time: .manual), or with .autojump.
        """)
    }
    try loop.requireRunning(call)
    if !loop.isCurrent {
      throw loop.offLoopError(call, "Advance the clock on its loop: `try await loop.run { loop in … }`.")
    }
    let advance = Advance(extent(loop.time), call)
    try await LoopWait(.clockAdvance, on: loop, owner: advance).value(call)
    return advance.reached
  }
}
