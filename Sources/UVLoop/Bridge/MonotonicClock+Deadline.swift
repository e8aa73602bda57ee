extension MonotonicClock {
  /// The moment that is `span` from now, no earlier than now; the end of time where it cannot be counted.
  static func now(plus span: Duration) -> Int64 { now().later(by: span) }
}

extension Int64 {
  /// Of a moment in nanoseconds: the one that is `span` later, never an earlier one; the end of time where it cannot be
  /// counted.
  @inline(__always)
  func later(by span: Duration) -> Int64 { later(byNanoseconds: Swift.max(0, span.saturatingNanoseconds)) }

  @inline(__always)
  func later(byNanoseconds span: Int64) -> Int64 {
    let (moment, overflow) = addingReportingOverflow(span)
    return overflow ? .max : moment
  }
}
