internal import CLibUV
import Synchronization

/// The sheet on which a thread answers where it stands; one for the process.
///
/// | state | who may write the sheet |
/// |---|---|
/// | free | nobody |
/// | taken | the thread that took it |
/// | asked | the same, and the asked thread's handler, whoever exchanges the state first |
/// | being written | the handler |
/// | written | the thread that took it |
///
/// It is never freed, and each ask has a ticket of its own: a handler that comes late finds no ask that is meant for
/// it, and one that is still writing when whoever asked has gone keeps the others waiting.
///
/// All of it stands in this file, and is never inlined: C's `static` sheet and handler exist once for each file that
/// uses them.
enum StackSheet {
  private static let isTaken = Atomic<Bool>(false)

  /// 256 KiB, of which only what is written becomes memory.
  private static let capacity = 32_768

  /// Before the first ask. Called once: it is the initialiser of a global variable.
  @inline(never)
  private static func prepare() {
    let sheet = unsafe clibuv_sheet()
    let words = UnsafeMutablePointer<UInt>.allocate(capacity: capacity)
    unsafe sheet.pointee.words = words
    unsafe sheet.pointee.capacity = capacity
    // A child of `fork` has neither the thread that took the sheet nor the one that writes on it.
    let status = pthread_atfork(nil, nil) {
      unsafe clibuv_sheet().pointee.state |= 3
      StackSheet.isTaken.store(false, ordering: .relaxed)
    }
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }

  private static let prepared: Void = prepare()

  /// Installs the handler.
  @inline(never)
  static func answer(to signal: Int32) throws(UVError) {
    _ = prepared
    try check(clibuv_answer_to(signal), "sigaction")
  }

  /// Whether the handler is still installed.
  @inline(never)
  static func answers(to signal: Int32) -> Bool { clibuv_answers_to(signal) }

  /// Whether it is the handler that answers. Each file that names a function of the shim has one of its own: here
  /// stands the one that is installed.
  @inline(never)
  static func isAnswer(_ action: sigaction) -> Bool {
    var action = action
    return unsafe clibuv_is_answer(&action)
  }

  /// Interrupts the thread and gives its copy; nil if it has not answered by the deadline, or has ended.
  @inline(never)
  static func ask(_ thread: SampledThread, by signal: Int32, until deadline: Int64) -> StackSnapshot? {
    while !isTaken.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged {
      if !pause(until: deadline) { return nil }
    }
    defer { isTaken.store(false, ordering: .releasing) }
    while !clibuv_ask(thread.identity.kernelID, thread.stack.lowerBound, thread.stack.upperBound) {
      if !pause(until: deadline) { return nil }
    }
    defer { clibuv_withdraw() }
    if clibuv_signal_thread(thread.identity.kernelID, thread.identity.id, signal) != 0 { return nil }
    while !clibuv_is_answered() {
      if !pause(until: deadline) { return nil }
    }
    let sheet = unsafe clibuv_sheet()
    // A copy: to pass the member itself would claim the whole sheet, of which others read the state.
    let registers = unsafe withUnsafeBytes(of: sheet.pointee.registers) {
      unsafe Array($0.assumingMemoryBound(to: UInt.self))
    }
    let words = unsafe Array(UnsafeBufferPointer(start: sheet.pointee.words, count: sheet.pointee.count))
    return unsafe StackSnapshot(registers: registers, base: sheet.pointee.base, words: words)
  }

  /// Nothing that a signal handler may call wakes a waiter on all systems; the answer takes microseconds.
  private static func pause(until deadline: Int64) -> Bool {
    if MonotonicClock.now() > deadline { return false }
    usleep(20)
    return true
  }
}
