import CLibUV
import Synchronization

/// What a loop has done so far: written on its thread alone, and read on any.
final class LoopCounters: Sendable {
  /// Passes of libuv's loop, each counted when its poll has returned.
  let iterations = LoopCounter()
  /// Polls begun: one more than iterations while the loop polls, or has just begun to.
  let polls = LoopCounter()
  /// Closures and jobs run, with the one that runs.
  let jobs = LoopCounter()
  /// What waits in the loop's own queue.
  let queued = LoopCounter()
  /// Sleeps, scheduled calls and limits whose time has come.
  let timers = LoopCounter()
  /// Callbacks of handles.
  let callbacks = LoopCounter()
  /// Bytes that streams have got from below, and given.
  let bytesRead = LoopCounter()
  let bytesWritten = LoopCounter()
  /// Connections taken, and how often a listener had to stop for want of a descriptor.
  let accepts = LoopCounter()
  let acceptBackOffs = LoopCounter()
}

/// A number that one thread changes, without a locked instruction.
struct LoopCounter: ~Copyable, Sendable {
  private let number = Atomic<Int>(0)

  var value: Int { number.load(ordering: .relaxed) }

  @inline(__always)
  func set(_ value: Int) { number.store(value, ordering: .relaxed) }

  @inline(__always)
  func add(_ count: Int = 1) { number.store(number.load(ordering: .relaxed) &+ count, ordering: .relaxed) }
}

/// For how long there has been a loop, and how much of that it waited in its poll.
///
/// Any thread may ask, at any time; libuv's own counter is gone once the loop is closed.
@safe final class LoopUptime: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  /// Whether libuv counts the time that the loop waits. It then polls twice where it would wait, first without waiting.
  let isIdleMeasured: Bool
  private let lock = Lock()
  private let began = MonotonicClock.now()
  private var ended: Int64?
  /// Nil where nothing is measured, and after the end.
  private var loop: UnsafeMutablePointer<uv_loop_t>?
  private var idleAtEnd: Int64 = 0

  /// Before the loop runs.
  init(_ loop: UnsafeMutablePointer<uv_loop_t>, measuresIdle: Bool) throws(UVError) {
    isIdleMeasured = measuresIdle
    if measuresIdle {
      unsafe try check(clibuv_measure_idle_time(loop), "uv_loop_configure")
      unsafe self.loop = loop
    }
  }

  var elapsed: Int64 { lock.withLock { (ended ?? MonotonicClock.now()) - began } }

  /// Nanoseconds in the poll so far, with those of a poll under way.
  var idle: Int64 {
    lock.withLock {
      if let loop = unsafe loop { return Int64(clamping: unsafe uv_metrics_idle_time(loop)) }
      return idleAtEnd
    }
  }

  /// Before the loop is closed.
  func end() {
    lock.withLock {
      ended = MonotonicClock.now()
      if let loop = unsafe loop { idleAtEnd = Int64(clamping: unsafe uv_metrics_idle_time(loop)) }
      unsafe loop = nil
    }
  }
}
