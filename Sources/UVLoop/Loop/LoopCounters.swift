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
