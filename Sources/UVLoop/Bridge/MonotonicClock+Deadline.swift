extension MonotonicClock {
  /// The moment that is `span` from now, no earlier than now; the end of time where it cannot be counted.
  static func now(plus span: Duration) -> Int64 {
    let (moment, overflow) = now().addingReportingOverflow(max(0, span.saturatingNanoseconds))
    return overflow ? .max : moment
  }
}
