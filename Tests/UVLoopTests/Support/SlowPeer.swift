@testable import UVLoop

/// A peer that reads as slowly as it is told to, on a thread of its own.
///
///     standing still ──read──▶ reading ──the end, or an error──▶ ended
///                    ◀──pace──
final class SlowPeer: Sendable {
  enum Pace: Equatable {
    /// Reads nothing until told otherwise.
    case none
    /// Reads at most so many bytes, then rests.
    case slow(bytes: Int, rest: Duration)
    /// Reads as fast as it can.
    case full
  }

  /// What the thread shares with the test.
  private final class State: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
    let lock = Lock()
    let socket: PlainSocket
    let ended = Event("the end of a slow peer")
    var pace: Pace
    var isDropped = false
    var check: PatternCheck
    var end: Result<Void, any Error>?

    init(_ socket: PlainSocket, _ pace: Pace, _ check: PatternCheck) {
      self.socket = socket
      self.pace = pace
      self.check = check
    }

    /// Waits while nothing is to be read; nil if nothing ever is again.
    func nextPace() -> Pace? {
      lock.withLock {
        while pace == .none && !isDropped { lock.wait() }
        return isDropped ? nil : pace
      }
    }

    /// Waits, but not beyond a change of the pace.
    func rest(_ span: Duration, after old: Pace) {
      let deadline = MonotonicClock.now(plus: span)
      lock.withLock {
        while pace == old && !isDropped { if !lock.wait(until: deadline) { return } }
      }
    }

    func run() {
      while let pace = nextPace() {
        do {
          let limit = if case .slow(let bytes, _) = pace { bytes } else { 65_536 }
          let bytes = try socket.receive(upTo: limit)
          lock.withLock { check.receive(bytes) }
          if bytes.isEmpty { return finish(.success(())) }
        } catch {
          return finish(.failure(error))
        }
        if case .slow(_, let span) = pace { rest(span, after: pace) }
      }
      finish(.success(()))
    }

    private func finish(_ result: Result<Void, any Error>) {
      lock.withLock { end = result }
      ended.signal()
    }
  }

  private let state: State

  /// Begins to read at the pace, and compares with the pattern.
  init(_ socket: PlainSocket, pace: Pace = .none, expecting pattern: Pattern) {
    let state = State(socket, pace, PatternCheck(pattern))
    self.state = state
    PlainThread { state.run() }
  }

  deinit {
    state.lock.withLock {
      state.isDropped = true
      state.lock.wakeAll()
      if state.end == nil { state.socket.abort() }
    }
  }

  func setPace(_ pace: Pace) {
    state.lock.withLock {
      state.pace = pace
      state.lock.wakeAll()
    }
  }

  /// How many bytes it has read.
  var count: Int { state.lock.withLock { state.check.count } }

  /// Reads the rest as fast as it can. Gives the number of bytes up to the end, and the offset of the first one that
  /// was wrong. Throws what ended the reading, if it was not the end: a reset for example.
  func finish() async throws -> (count: Int, firstDifference: Int?) {
    setPace(.full)
    try await state.ended.wait()
    return try state.lock.withLock {
      try state.end?.get()
      return (state.check.count, state.check.firstDifference)
    }
  }
}
