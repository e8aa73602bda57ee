extension Duration {
  /// For people: in the largest unit of which there is at least one, with three digits.
  var text: String {
    let nanoseconds = saturatingNanoseconds
    let size = nanoseconds.magnitude
    let sign = nanoseconds < 0 ? "-" : ""
    for (unit, name) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")] as [(UInt64, String)]
    where size >= unit {
      let whole = size / unit
      let thousandths = size % unit * 1_000 / unit
      // 1.25 s, 12.5 ms, 125 ms: as many decimals as make three digits, without zeros at the end.
      let kept = whole >= 100 ? 0 : whole >= 10 ? thousandths / 100 : thousandths / 10
      var decimals = whole >= 100 || kept == 0 ? "" : whole < 10 && kept < 10 ? "0\(kept)" : "\(kept)"
      while decimals.hasSuffix("0") { decimals.removeLast() }
      return sign + "\(whole)" + (decimals.isEmpty ? "" : ".\(decimals)") + " " + name
    }
    return sign + "\(size) ns"
  }
}
