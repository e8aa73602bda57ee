// still ──begin──▶ turning ──it is where it shall be, cancelled, shutdown──▶ still
//
// A loop with a virtual time asks here each time that nothing but time is left to wait for. A turn comes first; where
// there is none, a time that jumps goes to the next deadline by itself.

/// Turns the virtual time of a loop. Belongs to the loop's thread.
final class TestClock {
  /// One turn, and the task that waits for its end.
  final class Turn: @unchecked Sendable {  // Holds because the loop alone uses `steps` until it has fired the gate.
    let gate: Gate
    fileprivate(set) var steps: ClockTurn

    init(_ extent: ClockTurn.Extent, on core: LoopCore) {
      gate = Gate(on: core)
      steps = ClockTurn(extent)
    }
  }

  private let time: VirtualTime
  private var turn: Turn?

  init(_ time: VirtualTime) { self.time = time }

  /// False if another turn is under way. One that was cancelled is over, though it is still noted here.
  func begin(_ turn: Turn) -> Bool {
    if isTurning { return false }
    self.turn = turn
    return true
  }

  /// Whether a turn is under way.
  var isTurning: Bool { turn.map { $0.gate.outcome == nil } ?? false }

  /// Nothing is due or ready. True if that has changed.
  ///
  /// - Parameters:
  ///   - earliest: The earliest deadline; nil if none will ever come.
  ///   - isAlone: Whether nothing else on the loop may call back.
  func goOn(earliest: Int64?, isAlone: @autoclosure () -> Bool) -> Bool {
    if let turn, turn.gate.outcome == nil {
      switch turn.steps.next(earliest: earliest) {
      case .go(let moment):
        time.move(to: moment)
      case .end(let moment):
        if let moment { time.move(to: moment) }
        self.turn = nil
        turn.gate.fire(.passed)
      }
      return true
    }
    turn = nil
    guard time.jumps, let earliest, isAlone() else { return false }
    time.move(to: earliest)
    return true
  }

  /// Shutdown.
  func close() { turn?.gate.fire(.closed) }
}
