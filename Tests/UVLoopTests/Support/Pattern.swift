/// Bytes that can be made anew at any offset, so that a receiver can check what it has got without a copy of it.
///
/// They repeat after a prime number of bytes. A block of any usual size that is lost, doubled or put elsewhere shows.
struct Pattern: Sendable {
  private static let period = 65_521

  private let block: [UInt8]

  init(seed: UInt64) {
    let numbers = SplitMix(seed: seed)
    block = (0..<Self.period).map { UInt8(truncatingIfNeeded: numbers[UInt64($0)]) }
  }

  func bytes(at offset: Int = 0, count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      let start = (offset + bytes.count) % Self.period
      bytes += block[start..<min(Self.period, start + count - bytes.count)]
    }
    return bytes
  }

  /// The offset of the first byte that is another than it should be.
  func firstDifference(in bytes: [UInt8], at offset: Int = 0) -> Int? {
    let expected = self.bytes(at: offset, count: bytes.count)
    if bytes == expected { return nil }
    return bytes.indices.first { bytes[$0] != expected[$0] }.map { offset + $0 }
  }
}

/// Follows a stream that should be a pattern.
struct PatternCheck: Sendable {
  private let pattern: Pattern
  /// How many bytes have come.
  private(set) var count = 0
  /// Where the stream first left the pattern.
  private(set) var firstDifference: Int?

  init(_ pattern: Pattern) { self.pattern = pattern }

  mutating func receive(_ bytes: [UInt8]) {
    if firstDifference == nil { firstDifference = pattern.firstDifference(in: bytes, at: count) }
    count += bytes.count
  }
}
