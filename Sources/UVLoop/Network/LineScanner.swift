#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Finds where a piece of a stream ends: a line, bytes up to a delimiter, a frame behind its length, or a number of
/// bytes.
///
/// One scanner serves one piece. It is shown all bytes that are held, first when the piece begins and again whenever
/// more have come, and looks at each byte once, however the stream was cut. It owns no bytes.
struct LineScanner {
  /// What ends the piece.
  enum Target: Hashable {
    /// LF or CRLF.
    case line
    /// These bytes, of which there is at least one.
    case delimiter([UInt8])
    /// The length that stands in front.
    case frame(LengthPrefix)
    /// So many bytes, at least 0; the limit does not count.
    case count(Int)
    /// All bytes up to the end.
    case all
  }

  enum Outcome: Equatable {
    /// The piece, without its end or its prefix, and how many bytes it takes with them.
    case complete(body: Range<Int>, consumed: Int)
    /// It is longer than what is held, by at least so many bytes.
    case incomplete(missing: Int)
    /// It has more bytes than the limit, whatever comes.
    case tooLong
    /// The length that stands in front is none.
    case malformed
  }

  private let target: Target
  private let limit: Int
  /// The bytes that need no second look.
  private var scanned = 0
  /// The last bytes that were scanned are the first ones of the delimiter: so many.
  private var matched = 0
  /// For each number of matched bytes, how many stay matched when the next byte differs. Made when it is needed first.
  private var fallbacks: [Int] = []
  /// Of a frame, once its length is known.
  private var frame: (prefix: Int, end: Int)?

  /// A scanner for one piece of at most `limit` bytes without its end or prefix; not negative.
  init(_ target: Target, limit: Int) {
    self.target = target
    self.limit = limit
  }

  /// Looks at the bytes from the beginning of the piece on, which are those of the last call and perhaps more.
  mutating func scan(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    switch target {
    case .line: unsafe scanLine(bytes)
    case .delimiter(let delimiter): unsafe scanDelimiter(delimiter, bytes)
    case .frame(let prefix): unsafe scanFrame(prefix, bytes)
    case .count(let count): Self.piece(0..<count, held: bytes.count)
    case .all: bytes.count > limit ? .tooLong : .incomplete(missing: 1)
    }
  }

  /// The outcome when the stream has ended, and the last scan has found the piece incomplete.
  ///
  /// A line ends there, and so do bytes up to a delimiter. A frame or a number of bytes stays incomplete. Where nothing
  /// is held, and nothing has to be, the piece is empty and consumes nothing: the stream has ended between two pieces.
  func end(after held: Int) -> Outcome {
    switch target {
    case .line, .delimiter, .all: held > limit ? .tooLong : .complete(body: 0..<held, consumed: held)
    case .frame where held == 0: .complete(body: 0..<0, consumed: 0)
    case .frame: .incomplete(missing: frame.map { $0.end - held } ?? 1)
    case .count(let count): .incomplete(missing: count - held)
    }
  }

  private mutating func scanLine(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    let (lineFeed, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))
    // The longest line and its CRLF.
    let window = min(bytes.count, limit.saturatingAdding(2))
    if let end = unsafe Self.index(of: lineFeed, in: bytes, scanned..<window) {
      let isPair = unsafe end > 0 && bytes[end - 1] == carriageReturn
      let length = isPair ? end - 1 : end
      return length > limit ? .tooLong : .complete(body: 0..<length, consumed: end + 1)
    }
    scanned = window
    // A CR at the end is perhaps none of the line.
    let mayBePair = unsafe window > 0 && bytes[window - 1] == carriageReturn
    return (mayBePair ? window - 1 : window) > limit ? .tooLong : .incomplete(missing: 1)
  }

  /// The search of Knuth, Morris and Pratt, for which no byte has to be looked at again, whatever the delimiter is.
  /// Between two candidates `memchr` is faster.
  private mutating func scanDelimiter(_ delimiter: [UInt8], _ bytes: UnsafeRawBufferPointer) -> Outcome {
    let window = min(bytes.count, limit.saturatingAdding(delimiter.count))
    while scanned < window && matched < delimiter.count {
      if matched == 0 {
        guard let start = unsafe Self.index(of: delimiter[0], in: bytes, scanned..<window) else {
          scanned = window
          break
        }
        scanned = start + 1
        matched = 1
      } else if unsafe bytes[scanned] == delimiter[matched] {
        scanned += 1
        matched += 1
      } else {
        matched = fallback(from: matched, delimiter)
      }
    }
    // What is matched may still turn out to be the delimiter, and does not count until then.
    let length = scanned - matched
    if length > limit { return .tooLong }
    if matched == delimiter.count { return .complete(body: 0..<length, consumed: scanned) }
    return .incomplete(missing: delimiter.count - matched)
  }

  /// The length of the longest proper suffix of the matched bytes that the delimiter begins with.
  private mutating func fallback(from matched: Int, _ delimiter: [UInt8]) -> Int {
    if matched == 1 { return 0 }
    if fallbacks.isEmpty {
      fallbacks = [0, 0]
      fallbacks.reserveCapacity(delimiter.count)
      for count in 2..<delimiter.count {
        var shorter = fallbacks[count - 1]
        while shorter > 0 && delimiter[shorter] != delimiter[count - 1] { shorter = fallbacks[shorter] }
        fallbacks.append(delimiter[shorter] == delimiter[count - 1] ? shorter + 1 : 0)
      }
    }
    return fallbacks[matched]
  }

  private mutating func scanFrame(_ prefix: LengthPrefix, _ bytes: UnsafeRawBufferPointer) -> Outcome {
    if let frame { return Self.piece(frame.prefix..<frame.end, held: bytes.count) }
    switch unsafe prefix.decode(bytes) {
    case .incomplete(let missing): return .incomplete(missing: missing)
    case .malformed: return .malformed
    case .length(let length, let width):
      if length > UInt64(min(limit, .max - width)) { return .tooLong }
      let end = width + Int(length)
      frame = (width, end)
      return Self.piece(width..<end, held: bytes.count)
    }
  }

  private static func piece(_ body: Range<Int>, held: Int) -> Outcome {
    held < body.upperBound
      ? .incomplete(missing: body.upperBound - held) : .complete(body: body, consumed: body.upperBound)
  }

  private static func index(of byte: UInt8, in bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
    guard let start = bytes.baseAddress, !range.isEmpty else { return nil }
    let found = unsafe memchr(start + range.lowerBound, Int32(byte), range.count)
    return unsafe found.map { unsafe UnsafeRawPointer($0) - start }
  }
}
