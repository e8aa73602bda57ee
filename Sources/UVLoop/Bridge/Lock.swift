import CLibUV

/// A mutex with one condition, in memory of its own.
///
/// `Synchronization.Mutex` is a bare futex on Linux, which the thread sanitizer does not see as a lock: programs that
/// use it are told of races that do not exist. It does see `pthread_mutex_t`.
@safe struct Lock: ~Copyable, @unchecked Sendable {  // Holds because pthread calls are all that touches the memory.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe Lock.require(pthread_mutex_init(mutex, nil), "pthread_mutex_init")
    makeCondition()
  }

  private borrowing func makeCondition() {
    var attributes = pthread_condattr_t()
    unsafe Lock.require(pthread_condattr_init(&attributes), "pthread_condattr_init")
    #if !canImport(Darwin)
      // A wait must not grow or shrink when somebody sets the wall clock.
      unsafe Lock.require(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "pthread_condattr_setclock")
    #endif
    unsafe Lock.require(pthread_cond_init(condition, &attributes), "pthread_cond_init")
    unsafe Lock.require(pthread_condattr_destroy(&attributes), "pthread_condattr_destroy")
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  @inline(__always)
  borrowing func withLock<R: ~Copyable, E>(_ body: () throws(E) -> R) throws(E) -> R {
    lock()
    defer { unlock() }
    return try body()
  }

  @inline(__always)
  borrowing func lock() { unsafe Lock.require(pthread_mutex_lock(mutex), "pthread_mutex_lock") }

  @inline(__always)
  borrowing func unlock() { unsafe Lock.require(pthread_mutex_unlock(mutex), "pthread_mutex_unlock") }

  /// Wakes every thread that waits. The caller holds the lock.
  borrowing func wakeAll() { unsafe Lock.require(pthread_cond_broadcast(condition), "pthread_cond_broadcast") }

  /// Wakes one thread that waits, if there is one. The caller may hold the lock.
  borrowing func wakeOne() { unsafe Lock.require(pthread_cond_signal(condition), "pthread_cond_signal") }

  /// Gives up the lock, waits, and holds it again. The caller tests its own condition in a loop: waits end spuriously.
  borrowing func wait() { unsafe Lock.require(pthread_cond_wait(condition, mutex), "pthread_cond_wait") }

  /// Like ``wait()``, until `deadline` in nanoseconds of the monotonic clock; false once that has passed.
  borrowing func wait(until deadline: Int64) -> Bool {
    #if canImport(Darwin)
      var span = clibuv_timespec(max(0, deadline &- MonotonicClock.now()))
      let status = unsafe pthread_cond_timedwait_relative_np(condition, mutex, &span)
    #else
      var moment = clibuv_timespec(deadline)
      let status = unsafe pthread_cond_timedwait(condition, mutex, &moment)
    #endif
    if status == ETIMEDOUT { return MonotonicClock.now() < deadline }
    Lock.require(status, "pthread_cond_timedwait")
    return true
  }

  /// In the child of a fork, by its only thread: threads that waited in the parent are not here, and to wake all would
  /// wait for them to leave.
  borrowing func forgetWaiters() { makeCondition() }

  /// These calls fail only when the memory is not a lock (any more): going on would race.
  @inline(__always)
  private static func require(_ status: Int32, _ call: StaticString) {
    if status != 0 { fatalError("UVLoop: \(call) failed with errno \(status).") }
  }
}
