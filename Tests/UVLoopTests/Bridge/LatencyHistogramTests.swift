import Foundation
import Testing

@testable import UVLoop

/// Counting durations in buckets.
@Suite(.sideBySide) struct LatencyHistogramTests {
  private static func histogram(_ values: [Int64]) -> LatencyHistogram {
    var histogram = LatencyHistogram()
    for value in values { histogram.record(.nanoseconds(value)) }
    return histogram
  }

  /// Of each order of magnitude some, with all neighbours of powers of two.
  private static var values: [Int64] {
    var numbers = SystemRandomNumberGenerator()
    let random = (0..<40).flatMap { power in
      (0..<20).map { _ in Int64.random(in: 0...(1 << power), using: &numbers) }
    }
    return random + (0..<40).flatMap { [(1 << $0) - 1, 1 << $0, (1 << $0) + 1] }
  }

  @Test func `a duration falls into a bucket that holds it and is a sixteenth wide`() throws {
    for value in Self.values {
      let bucket = try #require(Self.histogram([value]).buckets.first)
      let (start, end) = (bucket.range.lowerBound, bucket.range.upperBound)
      #expect(bucket.range.contains(.nanoseconds(value)), "\(value)")
      #expect(bucket.count == 1)
      #expect((end - start) * 16 <= max(start, .nanoseconds(16)), "\(value): \(bucket.range)")
    }
  }

  @Test func `buckets come in order, do not overlap, and count everything`() {
    let values = Self.values
    let buckets = Self.histogram(values).buckets
    for (one, next) in zip(buckets, buckets.dropFirst()) { #expect(one.range.upperBound <= next.range.lowerBound) }
    #expect(buckets.reduce(0) { $0 + $1.count } == values.count)
    for bucket in buckets {
      #expect(bucket.count == values.count { bucket.range.contains(.nanoseconds($0)) }, "\(bucket)")
    }
  }

  @Test(arguments: [0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1, -1, 2, .nan, .infinity, -.infinity])
  func `a percentile is that of the sorted values, or at most a sixteenth more`(share: Double) {
    for _ in 0..<20 {
      let values = Self.values.shuffled().prefix(Int.random(in: 1...900)).sorted()
      let histogram = Self.histogram(Array(values))
      let kept = share.isNaN ? 0 : Swift.min(1, Swift.max(0, share))
      let exact = values[Swift.max(0, Int((Double(values.count) * kept).rounded(.up)) - 1)]
      let found = histogram.percentile(share).saturatingNanoseconds
      #expect(found >= exact && found <= exact + exact / 16 + 1, "\(share) of \(values.count): \(found), not \(exact)")
      #expect(histogram.percentile(share) <= histogram.max)
    }
  }

  @Test func `an empty histogram has nothing, and says so`() {
    let empty = LatencyHistogram()
    #expect(empty.count == 0 && empty.max == .zero && empty.buckets.isEmpty)
    #expect(empty.percentile(0.5) == .zero)
    #expect(empty.description == "none")
    #expect(empty.since(empty) == empty)
  }

  @Test func `less than zero counts as zero`() {
    let histogram = Self.histogram([-5, .min])
    #expect(histogram.buckets == [.init(range: .zero ..< .nanoseconds(1), count: 2)])
    #expect(histogram.max == .zero)
  }

  @Test func `what takes longer than the last bucket is counted in it, and no percentile is too short`() {
    let (hour, longest): (Duration, Duration) = (.seconds(3_600), .nanoseconds(Int64.max))
    var histogram = LatencyHistogram()
    histogram.record(hour)
    histogram.record(.seconds(Int64.max))
    #expect(histogram.buckets.count == 1 && histogram.buckets[0].count == 2)
    #expect(histogram.max == longest)
    #expect(histogram.percentile(0.5) >= hour)
    #expect(histogram.percentile(1) == longest)
  }

  @Test func `the difference of two values holds what came between them`() {
    let (before, between) = (Self.values, Self.values)
    let earlier = Self.histogram(before)
    let later = Self.histogram(before + between)
    let difference = later.since(earlier)
    #expect(difference.count == between.count)
    #expect(difference.buckets == Self.histogram(between).buckets)
    #expect(later.since(later).buckets.isEmpty && later.since(later).count == 0)
    #expect(later.since(LatencyHistogram()) == later)
    // In the wrong order there is nothing, and no number below zero.
    #expect(earlier.since(later).count == 0)
    #expect(LatencyHistogram().since(later).count == 0)
  }

  @Test func `a copy does not change with its original`() {
    var histogram = Self.histogram([5])
    let copy = histogram
    histogram.record(.nanoseconds(7))
    #expect(copy.count == 1 && histogram.count == 2)
  }

  @Test func `a line tells number, median, 99th percentile and maximum`() {
    let histogram = Self.histogram(Array(repeating: 10, count: 99) + [1_000_000])
    #expect(histogram.description == "100, p50 10 ns, p99 10 ns, max 1 ms")
  }

  @Test func `it comes back from JSON as it was`() throws {
    for values in [[], [0], Self.values, [.max]] {
      let histogram = Self.histogram(values)
      let data = try JSONEncoder().encode(histogram)
      #expect(try JSONDecoder().decode(LatencyHistogram.self, from: data) == histogram)
    }
  }

  @Test(arguments: [
    #"{"buckets":[{"from":1,"to":2,"count":-1}],"max":1}"#, #"{"buckets":[],"max":-1}"#,
    #"{"buckets":[{"from":-1,"to":2,"count":1}],"max":1}"#,
    #"{"buckets":[{"from":1,"to":2,"count":9223372036854775807},{"from":9,"to":10,"count":1}],"max":9}"#,
  ])
  func `JSON that no histogram has written is refused`(text: String) {
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(LatencyHistogram.self, from: Data(text.utf8))
    }
  }
}
