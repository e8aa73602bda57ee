// still ──begin──▶ turning ──it is where it shall be, cancelled, shutdown──▶ still
//
// A loop with a virtual time asks here each time that nothing but time is left to wait for. A turn comes first; where
// there is none, a time that jumps goes to the next deadline by itself.

/// Turns the virtual time of a loop. Belongs to the loop's thread.
final class TestClock {
  /// One turn, which a task waits for.
  final class Turn: WaitOwner, @unchecked Sendable {  // Holds because its task reads it when the wait has ended.
    fileprivate var steps: ClockTurn
    private let call: String

    init(_ extent: ClockTurn.Extent, _ call: String) {
      steps = ClockTurn(extent)
      self.call = call
    }

    /// The deadline that a turn to the next one went to.
    var reached: Int64? { steps.reached }

    func begin(_ wait: LoopWait) {
      if wait.core.timers.testClock?.begin(self, wait) == true { return }
      wait.resume(
        throwing: UVError(
          .busy, call: call,
          "Another task turns the clock of loop \"\(wait.core.name)\". Await the end of that turn before the next one.")
      )
    }

    func withdraw(_ wait: LoopWait) {}
  }

  private let time: VirtualTime
  private var turn: (steps: Turn, wait: LoopWait)?

  init(_ time: VirtualTime) { self.time = time }

  /// False if another turn is under way. One that was cancelled is over, though it is still noted here.
  private func begin(_ turn: Turn, _ wait: LoopWait) -> Bool {
    if isTurning { return false }
    self.turn = (turn, wait)
    return true
  }

  /// Whether a turn is under way.
  var isTurning: Bool { turn.map { $0.wait.end == nil } ?? false }

  /// Nothing is due or ready. True if that has changed.
  ///
  /// - Parameters:
  ///   - earliest: The earliest deadline; nil if none will ever come.
  ///   - isAlone: Whether nothing else on the loop may call back.
  func goOn(earliest: Int64?, isAlone: @autoclosure () -> Bool) -> Bool {
    if let turn, turn.wait.end == nil {
      switch turn.steps.steps.next(earliest: earliest) {
      case .go(let moment):
        time.move(to: moment)
      case .end(let moment):
        if let moment { time.move(to: moment) }
        self.turn = nil
        turn.wait.resume()
      }
      return true
    }
    turn = nil
    guard time.jumps, let earliest, isAlone() else { return false }
    time.move(to: earliest)
    return true
  }

  /// Shutdown.
  func close() { turn?.wait.close() }
}
