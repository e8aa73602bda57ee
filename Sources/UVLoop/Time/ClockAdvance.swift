// How a virtual time advances, deadline by deadline. Pure: the caller moves the time, and asks again each time that
// nothing but time is left to wait for. Between two questions it fires what has become due, and runs what that makes
// ready; so what is submitted meanwhile takes part in the advance.

/// One advance of a virtual time; see the top of the file.
struct ClockAdvance {
  enum Extent {
    /// To a moment, and to every deadline on the way there.
    case to(Int64)
    /// To the earliest deadline, and no further.
    case nextDeadline
    /// Nowhere: what is due now runs.
    case idle
  }

  enum Action: Equatable {
    /// Move the time there and fire what is due.
    case go(to: Int64)
    /// The advance is over; the time is to be there, where a moment is given.
    case end(at: Int64?)
  }

  private let extent: Extent
  /// The deadline that an advance to the next one went to.
  private(set) var reached: Int64?

  init(_ extent: Extent) { self.extent = extent }

  /// What to do, now that nothing is due or ready.
  ///
  /// - Parameter earliest: The earliest deadline; nil if none will ever come.
  mutating func next(earliest: Int64?) -> Action {
    switch extent {
    case .to(let moment):
      if let earliest, earliest <= moment { return .go(to: earliest) }
      return .end(at: moment)
    case .nextDeadline:
      guard reached == nil, let earliest else { return .end(at: nil) }
      reached = earliest
      return .go(to: earliest)
    case .idle:
      return .end(at: nil)
    }
  }
}
