/// Which host names may be looked up: checked here, since libuv and the C library disagree about odd ones.
///
/// C reads up to a zero byte. libuv accepts an empty name up to 1.47, and rejects it from 1.48 on. Before 1.48, unless
/// the distribution has patched it, libuv also reads past the end of its buffer if the ASCII form of a name has more
/// than 255 bytes (CVE-2024-24806). Names in other scripts grow in that form.
enum HostName {
  /// The longest name in the DNS, in text.
  static let limit = 253

  static func check(_ host: String, _ call: @autoclosure () -> String) throws(UVError) {
    if host.isEmpty { throw UVError(.invalidArgument, call: call(), "The host name is empty.") }
    if host.utf8.contains(0) {
      throw UVError(
        .invalidArgument, call: call(), "The host name has a zero byte, at which the system would cut it.")
    }
    let count = max(host.utf8.count, asciiCount(of: host))
    if count > limit {
      throw UVError(
        .invalidArgument, call: call(), "The host name has \(count) bytes, and at most \(limit) are allowed.")
    }
  }

  /// The number of bytes of the name as libuv sends it: labels in other scripts as Punycode.
  static func asciiCount(of host: String) -> Int {
    if host.utf8.allSatisfy({ $0 < 0x80 }) { return host.utf8.count }
    // libuv turns all of these into dots.
    let labels = host.unicodeScalars.split(omittingEmptySubsequences: false) {
      ".\u{3002}\u{ff0e}\u{ff61}".unicodeScalars.contains($0)
    }
    return labels.reduce(labels.count - 1) { $0 + asciiCount(ofLabel: $1.map(\.value)) }
  }

  /// RFC 3492, section 6.3; the digits are only counted.
  private static func asciiCount(ofLabel scalars: [UInt32]) -> Int {
    var handled = scalars.count { $0 < 0x80 }
    if handled == scalars.count { return handled }
    var count = "xn--".utf8.count + handled + (handled > 0 ? 1 : 0)
    var (current, delta, bias, isFirst) = (UInt32(0x80), 0, 72, true)
    while handled < scalars.count, let next = scalars.lazy.filter({ $0 >= current }).min() {
      delta += Int(next - current) * (handled + 1)
      current = next
      for scalar in scalars {
        if scalar < current { delta += 1 }
        if scalar != current { continue }
        count += digits(of: delta, bias)
        handled += 1
        bias = adapted(delta, handled, isFirst)
        (delta, isFirst) = (0, false)
      }
      delta += 1
      current += 1
    }
    return count
  }

  private static func digits(of delta: Int, _ bias: Int) -> Int {
    var (rest, threshold, count) = (delta, 0, 1)
    for position in stride(from: 36, through: .max, by: 36) {
      threshold = min(max(position - bias, 1), 26)
      if rest < threshold { break }
      rest = (rest - threshold) / (36 - threshold)
      count += 1
    }
    return count
  }

  private static func adapted(_ delta: Int, _ handled: Int, _ isFirst: Bool) -> Int {
    var delta = delta / (isFirst ? 700 : 2)
    delta += delta / handled
    var bias = 0
    while delta > 35 * 26 / 2 {
      delta /= 35
      bias += 36
    }
    return bias + 36 * delta / (delta + 38)
  }
}
