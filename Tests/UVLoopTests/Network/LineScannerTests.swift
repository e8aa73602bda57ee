import Testing

@testable import UVLoop

@Suite(.sideBySide) struct LineScannerTests {
  private typealias Outcome = LineScanner.Outcome

  // MARK: Lines

  @Test func `a line ends with LF or CRLF, and a CR alone belongs to it`() {
    #expect(scan(.line, "ab\ncd") == .complete(body: 0..<2, consumed: 3))
    #expect(scan(.line, "ab\r\ncd") == .complete(body: 0..<2, consumed: 4))
    #expect(scan(.line, "a\rb\r\r\n") == .complete(body: 0..<4, consumed: 6))
    #expect(scan(.line, "ab\r") == .incomplete(missing: 1))
  }

  @Test func `an empty line is a line`() {
    #expect(scan(.line, "\n") == .complete(body: 0..<0, consumed: 1))
    #expect(scan(.line, "\r\n") == .complete(body: 0..<0, consumed: 2))
    #expect(scan(.line, "") == .incomplete(missing: 1))
  }

  @Test func `a CRLF may come in two parts`() {
    var scanner = LineScanner(.line, limit: 2)
    #expect(show("ab", to: &scanner) == .incomplete(missing: 1))
    #expect(show("ab\r", to: &scanner) == .incomplete(missing: 1))
    #expect(show("ab\r\n", to: &scanner) == .complete(body: 0..<2, consumed: 4))
  }

  @Test func `the end of a line does not count for the limit`() {
    #expect(scan(.line, limit: 2, "ab\r\n") == .complete(body: 0..<2, consumed: 4))
    #expect(scan(.line, limit: 2, "ab\r") == .incomplete(missing: 1))
    #expect(scan(.line, limit: 2, "abc") == .tooLong)
    #expect(scan(.line, limit: 2, "abc\n") == .tooLong)
    #expect(scan(.line, limit: 2, "ab\rc") == .tooLong)
    #expect(scan(.line, limit: 2, "ab\r\r\n") == .tooLong)
    #expect(scan(.line, limit: 0, "\r\n") == .complete(body: 0..<0, consumed: 2))
    #expect(scan(.line, limit: .max, "ab\n") == .complete(body: 0..<2, consumed: 3))
  }

  @Test func `the last line needs no end, and its CR is no part of one`() {
    #expect(end(.line, "ab") == .complete(body: 0..<2, consumed: 2))
    #expect(end(.line, "ab\r") == .complete(body: 0..<3, consumed: 3))
    #expect(end(.line, limit: 2, "ab\r") == .tooLong)
    #expect(end(.line, "") == .complete(body: 0..<0, consumed: 0))
  }

  // MARK: Delimiters

  @Test func `bytes end where their delimiter begins`() {
    #expect(scan(.delimiter([0]), "ab\0cd") == .complete(body: 0..<2, consumed: 3))
    #expect(scan(delimiter("\r\n\r\n"), "a\r\nb\r\n\r\n") == .complete(body: 0..<4, consumed: 8))
    #expect(scan(delimiter("aab"), "aaab") == .complete(body: 0..<1, consumed: 4))
    #expect(scan(delimiter("abcabd"), "abcabcabd") == .complete(body: 0..<3, consumed: 9))
    #expect(scan(delimiter("ab"), "ab") == .complete(body: 0..<0, consumed: 2))
  }

  @Test func `what may be half of a delimiter is not over the limit until it turns out to be none`() {
    #expect(scan(delimiter("abc"), limit: 2, "xxab") == .incomplete(missing: 1))
    #expect(scan(delimiter("abc"), limit: 2, "xxabc") == .complete(body: 0..<2, consumed: 5))
    #expect(scan(delimiter("abc"), limit: 2, "xxabx") == .tooLong)
    #expect(scan(delimiter("abc"), limit: 2, "xxx") == .tooLong)
    #expect(scan(delimiter("abc"), limit: 2, "xxxabc") == .tooLong)
    // Of "aa" at the end the first may be the third byte of the body, and then there are too many.
    #expect(scan(delimiter("ab"), limit: 2, "xxaa") == .tooLong)
    #expect(scan(delimiter("ab"), limit: 3, "xxaa") == .incomplete(missing: 1))
    #expect(scan(delimiter("abc"), limit: .max, "xxabc") == .complete(body: 0..<2, consumed: 5))
  }

  @Test func `at the end of the stream bytes need no delimiter`() {
    #expect(end(delimiter("abc"), "xxab") == .complete(body: 0..<4, consumed: 4))
    #expect(end(delimiter("abc"), limit: 3, "xxab") == .tooLong)
    #expect(end(delimiter("abc"), "") == .complete(body: 0..<0, consumed: 0))
  }

  @Test(arguments: [[10], [10, 11], [10, 10, 10, 11]] as [[UInt8]])
  func `no byte is looked at twice, however many come after it`(end: [UInt8]) {
    // The second and third time these stand where the first time nothing did.
    let late = [UInt8](repeating: 10, count: 49) + [11]
    for target in [.delimiter(end), .line] as [LineScanner.Target] where target != .line || end == [10] {
      var scanner = LineScanner(target, limit: 100)
      #expect(scan(&scanner, [UInt8](repeating: 7, count: 50)) == .incomplete(missing: end.count))
      #expect(scan(&scanner, late) == .incomplete(missing: end.count))
      #expect(scan(&scanner, late + [7] + end) == .complete(body: 0..<51, consumed: 51 + end.count))
    }
  }

  @Test func `the matched half of a delimiter is not looked at again`() {
    var scanner = LineScanner(.delimiter([1, 1, 1, 2]), limit: 10)
    #expect(scan(&scanner, [1, 1, 1, 1]) == .incomplete(missing: 1))
    #expect(scan(&scanner, [7, 7, 7, 7, 2]) == .complete(body: 0..<1, consumed: 5))
  }

  // MARK: Frames and counts

  @Test func `a frame says how much of it is missing, first of its length and then of its body`() {
    var scanner = LineScanner(.frame(.uint16), limit: 4)
    #expect(scan(&scanner, []) == .incomplete(missing: 2))
    #expect(scan(&scanner, [0]) == .incomplete(missing: 1))
    #expect(scan(&scanner, [0, 4]) == .incomplete(missing: 4))
    #expect(scan(&scanner, [0, 4, 1]) == .incomplete(missing: 3))
    #expect(scan(&scanner, [0, 4, 1, 2, 3, 4, 5]) == .complete(body: 2..<6, consumed: 6))
  }

  @Test func `a frame may be empty`() {
    #expect(scan(.frame(.varint), [0, 9]) == .complete(body: 1..<1, consumed: 1))
  }

  @Test func `a frame over the limit is refused by its length alone`() {
    #expect(scan(.frame(.uint8), limit: 4, [4]) == .incomplete(missing: 4))
    #expect(scan(.frame(.uint8), limit: 4, [5]) == .tooLong)
    let largest = [UInt8](repeating: 0xff, count: 8)
    #expect(scan(.frame(.uint64), limit: .max, largest) == .tooLong)
    #expect(scan(.frame(.uint64), limit: .max, [0x7f] + largest.dropFirst()) == .tooLong)
  }

  @Test func `a length that is none is malformed`() {
    #expect(scan(.frame(.varint), [UInt8](repeating: 0x80, count: 10)) == .malformed)
  }

  @Test func `a frame that the stream ends in is incomplete, and an end between two frames is one`() {
    #expect(end(.frame(.uint16), []) == .complete(body: 0..<0, consumed: 0))
    #expect(end(.frame(.uint16), [0]) == .incomplete(missing: 1))
    #expect(end(.frame(.uint16), [0, 4, 1]) == .incomplete(missing: 3))
  }

  @Test func `a number of bytes is what it says, whatever the limit`() {
    #expect(scan(.count(0), limit: 0, []) == .complete(body: 0..<0, consumed: 0))
    #expect(scan(.count(3), limit: 0, [1]) == .incomplete(missing: 2))
    #expect(scan(.count(3), limit: 0, [1, 2, 3, 4]) == .complete(body: 0..<3, consumed: 3))
    #expect(end(.count(3), []) == .incomplete(missing: 3))
    #expect(end(.count(3), [1]) == .incomplete(missing: 2))
  }

  // MARK: Helpers

  private func delimiter(_ text: String) -> LineScanner.Target { .delimiter(Array(text.utf8)) }

  private func scan(_ scanner: inout LineScanner, _ bytes: [UInt8]) -> Outcome {
    unsafe bytes.withUnsafeBytes { unsafe scanner.scan($0) }
  }

  private func show(_ text: String, to scanner: inout LineScanner) -> Outcome { scan(&scanner, Array(text.utf8)) }

  private func scan(_ target: LineScanner.Target, limit: Int = 1_000, _ bytes: [UInt8]) -> Outcome {
    var scanner = LineScanner(target, limit: limit)
    return scan(&scanner, bytes)
  }

  private func scan(_ target: LineScanner.Target, limit: Int = 1_000, _ text: String) -> Outcome {
    scan(target, limit: limit, Array(text.utf8))
  }

  /// What the end of the stream makes of bytes that are incomplete.
  private func end(_ target: LineScanner.Target, limit: Int = 1_000, _ bytes: [UInt8]) -> Outcome {
    var scanner = LineScanner(target, limit: limit)
    guard case .incomplete = scan(&scanner, bytes) else { return .malformed }
    return scanner.end(after: bytes.count)
  }

  private func end(_ target: LineScanner.Target, limit: Int = 1_000, _ text: String) -> Outcome {
    end(target, limit: limit, Array(text.utf8))
  }
}
