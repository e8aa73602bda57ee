import CLibUV

/// What lives on a loop and takes part in its iterations and its end, without the core knowing what it is.
///
/// All calls come on the loop's thread.
protocol LoopComponent: AnyObject {
  /// Before each poll. True if something is due, so that the poll must not wait.
  func beforePoll() -> Bool
  /// On virtual time: whether nothing of it is under way elsewhere and will come back by itself.
  var hasNoWork: Bool { get }
  /// On virtual time: nothing but time is left to wait for. True if that has moved, or something has been made ready.
  func advanceIfIdle() -> Bool
  /// After each poll.
  func afterPoll()
  /// Shutdown, before anything else: stops taking on what others ask of the program, such as connections. What was
  /// accepted has not run yet.
  func quiesce()
  /// Shutdown, first part: resumes every wait with `loopClosed` and drops what will not happen.
  func releaseWaits()
  /// Shutdown, second part: closes what it owns.
  func close()
  /// Whether what shutdown waits for has ended.
  var isSettled: Bool { get }
  /// Whether nothing is left that uses the loop's memory.
  var isEmpty: Bool { get }
  /// The time that shutdown was given is over: cancels what has not begun.
  func expire()
  /// Its own handles on libuv's loop, but for those of the raw loop.
  var uvHandles: [UnsafeMutablePointer<uv_handle_t>] { get }
  /// How many requests of its own libuv has.
  var uvRequests: Int { get }
  /// Adds what is left.
  func report(into report: inout ShutdownReport)
}

extension LoopComponent {
  func beforePoll() -> Bool { false }
  var hasNoWork: Bool { true }
  func advanceIfIdle() -> Bool { false }
  func afterPoll() {}
  func quiesce() {}
  func releaseWaits() {}
  func close() {}
  var isSettled: Bool { true }
  var isEmpty: Bool { true }
  func expire() {}
  var uvHandles: [UnsafeMutablePointer<uv_handle_t>] { unsafe [] }
  var uvRequests: Int { 0 }
  func report(into report: inout ShutdownReport) {}
}

/// A component that any thread may make, for what is asked for anywhere. A loop keeps one, as long as it is there
/// itself; it takes part in the loop's life from its first use there on.
// Holds because a kind says which of its parts belong to the loop's thread.
class LoopCompanion: @unchecked Sendable {
  /// The loop has ended, though it may never have used this itself.
  func loopHasEnded() {}
}
