import Testing

@testable import UVLoop

/// The scanner beside an obvious one, which begins anew with each byte.
@Suite(.sideBySide) struct LineScannerModelTests {
  @Test(arguments: UInt64(1)...20)
  func `random pieces that come in random cuts end where an obvious search finds their end`(seed: UInt64) {
    var random = SplitMix(seed: seed)
    var kinds: Set<String> = []
    for _ in 0..<300 {
      let target = randomTarget(&random)
      let limit = random.next() % 8 == 0 ? .max : Int.random(in: 0...20, using: &random)
      let bytes = randomBytes(for: target, &random)
      var scanner = LineScanner(target, limit: limit)
      var count = 0
      while true {
        let held = Array(bytes.prefix(count))
        let outcome = unsafe held.withUnsafeBytes { unsafe scanner.scan($0) }
        let expected = Self.obvious(target, limit, held)
        #expect(outcome == expected, "seed \(seed): \(target), limit \(limit), \(held)")
        kinds.insert("\(expected)".prefix { $0 != "(" }.description)
        guard case .incomplete = expected, count < bytes.count else { break }
        count = min(bytes.count, count + Int.random(in: 0...4, using: &random))
      }
    }
    #expect(kinds == ["complete", "incomplete", "tooLong", "malformed"])
  }

  /// What the whole of the bytes makes of the piece.
  private static func obvious(_ target: LineScanner.Target, _ limit: Int, _ bytes: [UInt8]) -> LineScanner.Outcome {
    switch target {
    case .line:
      guard let end = bytes.firstIndex(of: 10) else {
        let mayEnd = bytes.last == 13 ? bytes.count - 1 : bytes.count
        return mayEnd > limit ? .tooLong : .incomplete(missing: 1)
      }
      let length = end > 0 && bytes[end - 1] == 13 ? end - 1 : end
      return length > limit ? .tooLong : .complete(body: 0..<length, consumed: end + 1)

    case .delimiter(let delimiter):
      // The first place where the delimiter stands, or as much of it as there are bytes.
      let start = (0...bytes.count).first {
        bytes[$0...].prefix(delimiter.count).elementsEqual(delimiter.prefix(bytes.count - $0))
      }
      let found = start ?? bytes.count
      if found > limit { return .tooLong }
      let present = min(bytes.count - found, delimiter.count)
      return present == delimiter.count
        ? .complete(body: 0..<found, consumed: found + present) : .incomplete(missing: delimiter.count - present)

    case .frame(let prefix):
      let decoded = unsafe bytes.withUnsafeBytes { unsafe prefix.decode($0) }
      switch decoded {
      case .malformed: return .malformed
      case .incomplete(let missing): return .incomplete(missing: missing)
      case .length(let length, let width):
        if length > limit || length > Int.max - width { return .tooLong }
        let end = width + Int(length)
        return bytes.count < end
          ? .incomplete(missing: end - bytes.count) : .complete(body: width..<end, consumed: end)
      }

    case .all: return bytes.count > limit ? .tooLong : .incomplete(missing: 1)
    case .count(let count):
      return bytes.count < count
        ? .incomplete(missing: count - bytes.count) : .complete(body: 0..<count, consumed: count)
    }
  }

  private func randomTarget(_ random: inout SplitMix) -> LineScanner.Target {
    switch random.next() % 8 {
    case 0, 1: .line
    case 2, 3, 4: .delimiter((0..<Int.random(in: 1...6, using: &random)).map { _ in UInt8(random.next() % 2) })
    case 5: .frame(.varint)
    case 6: .frame([.uint8, .uint16, .uint32LittleEndian].randomElement(using: &random) ?? .uint64)
    default: .count(Int.random(in: 0...20, using: &random))
    }
  }

  /// Few different bytes, so that ends and halves of them are common.
  private func randomBytes(for target: LineScanner.Target, _ random: inout SplitMix) -> [UInt8] {
    let length = Int.random(in: 0...40, using: &random)
    let alphabet: [UInt8] =
      switch target {
      case .line: [97, 98, 13, 10]
      case .delimiter: [0, 1]
      case .frame(.varint): random.next() % 2 == 0 ? [0x80, 0xff, 0x81] : [3, 17, 0x80, 0x81]
      case .frame, .count, .all: [0, 0, 0, 5, 19]
      }
    return (0..<length).map { _ in alphabet.randomElement(using: &random) ?? 0 }
  }
}
