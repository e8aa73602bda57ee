/// How often something took how long.
///
/// A value: later measurements do not change it. Durations are counted in buckets that are a sixteenth wide, from one
/// nanosecond to 18 minutes; what takes longer is counted in the last one.
public struct LatencyHistogram: Sendable, Hashable {
  /// Buckets of one nanosecond up to 16, and from there on sixteen for each power of two.
  private static let parts = 16
  private static let powers = 36
  private static var size: Int { parts * (powers + 1) }

  /// Empty until the first measurement.
  private var counts: [Int] = []
  /// How many measurements there are.
  public private(set) var count = 0
  /// The longest, to the nanosecond; zero if there is none.
  public private(set) var max = Duration.zero

  /// A histogram of nothing.
  public init() {}

  /// Counts a duration; less than zero counts as zero.
  public mutating func record(_ duration: Duration) { record(nanoseconds: duration.saturatingNanoseconds) }

  mutating func record(nanoseconds: Int64) {
    if counts.isEmpty { counts = Array(repeating: 0, count: LatencyHistogram.size) }
    let nanoseconds = Swift.max(0, nanoseconds)
    counts[LatencyHistogram.index(of: nanoseconds)] += 1
    count += 1
    max = Swift.max(max, .nanoseconds(nanoseconds))
  }

  private static func index(of nanoseconds: Int64) -> Int {
    if nanoseconds < parts { return Int(nanoseconds) }
    let power = 63 - nanoseconds.leadingZeroBitCount
    let part = Int(nanoseconds >> Int64(power - 4)) - parts
    return Swift.min((power - 3) * parts + part, size - 1)
  }

  /// Where a bucket begins, which is where the one before it ends.
  private static func start(of index: Int) -> Int64 {
    if index < parts { return Int64(index) }
    let (power, part) = (index / parts + 3, index % parts)
    return Int64(parts + part) << Int64(power - 4)
  }

  /// The durations of one bucket, and how many there were.
  public struct Bucket: Sendable, Hashable {
    /// What falls into it.
    public let range: Range<Duration>
    /// How many did.
    public let count: Int
  }

  /// The buckets with something in them, the shortest durations first.
  public var buckets: [Bucket] {
    counts.indices.filter { counts[$0] > 0 }.map { index in
      let (start, end) = (LatencyHistogram.start(of: index), LatencyHistogram.start(of: index + 1))
      return Bucket(range: .nanoseconds(start) ..< .nanoseconds(end), count: counts[index])
    }
  }

  /// The duration that `share` of all measurements do not exceed, at most a sixteenth too long; zero if there is none.
  ///
  /// - Parameter share: 0.5 for the median, 0.99 for what one in a hundred exceeds; less than zero and more than one
  ///   count as these.
  public func percentile(_ share: Double) -> Duration {
    if count == 0 { return .zero }
    let wanted = Swift.max(1, Int((Double(count) * Swift.min(1, Swift.max(0, share))).rounded(.up)))
    var seen = 0
    for index in counts.indices {
      seen += counts[index]
      if seen >= wanted {
        // The last bucket has no end.
        if index == LatencyHistogram.size - 1 { return max }
        return Swift.min(max, .nanoseconds(LatencyHistogram.start(of: index + 1) - 1))
      }
    }
    return max
  }

  /// What has been counted since `earlier`, a value of the same histogram. Its ``max`` is that of the whole.
  public func since(_ earlier: LatencyHistogram) -> LatencyHistogram {
    var difference = self
    for index in earlier.counts.indices where index < counts.count {
      difference.counts[index] = Swift.max(0, counts[index] - earlier.counts[index])
    }
    difference.count = difference.counts.reduce(0, +)
    return difference
  }
}

extension LatencyHistogram: CustomStringConvertible {
  /// Number, median, 99th percentile and maximum in one line.
  public var description: String {
    count == 0 ? "none" : "\(count), p50 \(percentile(0.5).text), p99 \(percentile(0.99).text), max \(max.text)"
  }
}

extension LatencyHistogram: Codable {
  private enum Key: String, CodingKey { case count, p50, p90, p99, max, buckets }
  private enum BucketKey: String, CodingKey { case from, to, count }

  /// Writes percentiles for people and buckets for machines, all in nanoseconds.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(count, forKey: .count)
    try container.encode(percentile(0.5).saturatingNanoseconds, forKey: .p50)
    try container.encode(percentile(0.9).saturatingNanoseconds, forKey: .p90)
    try container.encode(percentile(0.99).saturatingNanoseconds, forKey: .p99)
    try container.encode(max.saturatingNanoseconds, forKey: .max)
    var list = container.nestedUnkeyedContainer(forKey: .buckets)
    for bucket in buckets {
      var entry = list.nestedContainer(keyedBy: BucketKey.self)
      try entry.encode(bucket.range.lowerBound.saturatingNanoseconds, forKey: .from)
      try entry.encode(bucket.range.upperBound.saturatingNanoseconds, forKey: .to)
      try entry.encode(bucket.count, forKey: .count)
    }
  }

  /// Reads what ``encode(to:)`` has written, and refuses numbers below zero.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    var list = try container.nestedUnkeyedContainer(forKey: .buckets)
    while !list.isAtEnd {
      let entry = try list.nestedContainer(keyedBy: BucketKey.self)
      if counts.isEmpty { counts = Array(repeating: 0, count: LatencyHistogram.size) }
      let (number, start) = (try entry.decode(Int.self, forKey: .count), try entry.decode(Int64.self, forKey: .from))
      let (sum, isTooMany) = count.addingReportingOverflow(number)
      if number < 0 || start < 0 || isTooMany { throw LatencyHistogram.refusal(entry.codingPath) }
      counts[LatencyHistogram.index(of: start)] += number
      count = sum
    }
    let longest = try container.decode(Int64.self, forKey: .max)
    if longest < 0 { throw LatencyHistogram.refusal(container.codingPath) }
    max = .nanoseconds(longest)
  }

  private static func refusal(_ path: [any CodingKey]) -> DecodingError {
    .dataCorrupted(.init(codingPath: path, debugDescription: "No histogram counts less than nothing, or so much."))
  }
}
