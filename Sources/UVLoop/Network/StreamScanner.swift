/// A whole piece at the beginning of what is held.
struct StreamPiece {
  /// Without its end, or the length in front of it.
  let body: Range<Int>
  /// With them.
  let consumed: Int
}

/// Looks for one piece in what a stream holds, and says what that means for the task that reads.
struct StreamScanner {
  enum Answer {
    case piece(StreamPiece)
    /// Nothing is held, and nothing comes any more.
    case end
    /// The task waits until there is more.
    case more
    /// The task lets the loop go round.
    case yield
    case fail(Failure)
  }

  enum Failure {
    case tooLong(Int)
    case malformed
    case cutShort

    func error(_ call: String) -> UVError {
      switch self {
      case .tooLong(let limit):
        UVError(
          .messageTooLong, call: call,
          "The peer has sent more than the limit of \(limit) bytes allows. All of it can still be read.")
      case .malformed:
        UVError(.illegalByteSequence, call: call, "The length in front of the frame is no number.")
      case .cutShort:
        UVError(.endOfFile, call: call, "The stream has ended in the middle. What has come can still be read.")
      }
    }
  }

  private let target: LineScanner.Target
  private let limit: Int
  private var scanner: LineScanner
  private var version: Int?

  init(_ target: LineScanner.Target, _ limit: Int) {
    self.target = target
    self.limit = limit
    scanner = LineScanner(target, limit: limit)
  }

  /// - Parameter version: Changes when bytes were put in front of those that have been looked at.
  mutating func scan(_ bytes: UnsafeRawBufferPointer, version: Int, hasEnded: Bool) -> Answer {
    if let seen = self.version, seen != version { scanner = LineScanner(target, limit: limit) }
    self.version = version
    switch unsafe scanner.scan(bytes) {
    case .complete(let body, let consumed): return .piece(StreamPiece(body: body, consumed: consumed))
    case .tooLong: return .fail(.tooLong(limit))
    case .malformed: return .fail(.malformed)
    case .incomplete where hasEnded:
      if case .count = target { return .fail(.cutShort) }
      if unsafe bytes.isEmpty { return .end }
      if case .complete(let body, let consumed) = scanner.end(after: bytes.count) {
        return .piece(StreamPiece(body: body, consumed: consumed))
      }
      return .fail(.cutShort)
    case .incomplete: return .more
    }
  }
}
