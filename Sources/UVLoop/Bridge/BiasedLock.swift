import CLibUV
import Synchronization

// A loop's thread changes its lists millions of times a second, and hardly anybody ever reads them from outside. With a
// mutex each change would cost 10 to 20 ns. Here the owner pays for two plain stores and a load, and whoever comes from
// outside for a system call:
//
//   owner     inside := true    compiler's fence      wanted? then inside := false, and take the mutex
//   outsider  wanted := true    membarrier(2)         wait until inside is false
//
// The owner's store and its load may change places in the CPU, and then both could pass the other unseen. membarrier
// makes every running thread of the process execute a full fence: after it either the owner's store is there to be
// seen, or the owner's load comes later and finds `wanted`.

/// A lock that costs its owner next to nothing: one thread at a time; ownership may move to another thread like any
/// value.
final class BiasedLock: @unchecked Sendable {  // Holds because `hasGivenWay` is the owner's alone.
  private let isInside = Atomic<Bool>(false)
  private let isWanted = Atomic<Bool>(false)
  private let outsiders = Lock()
  /// The owner is inside by the mutex.
  private var hasGivenWay = false
  /// The owner waits for the mutex. Whoever comes from outside again and again would otherwise have it each time before
  /// the owner is awake.
  private let isOwnerWaiting = Atomic<Bool>(false)

  /// Whether there is a membarrier. Without it only the owner gets in.
  static let isSupported = clibuv_membarrier()

  /// For the owner. `body` must not come back here, nor run anybody's code that could.
  @inline(__always)
  func withOwnership<R: ~Copyable, E>(_ body: () throws(E) -> R) throws(E) -> R {
    lock()
    defer { unlock() }
    return try body()
  }

  /// For the owner, where a closure would be in the way. Until ``unlock()`` the same holds as there.
  @inline(__always)
  func lock() {
    isInside.store(true, ordering: .relaxed)
    clibuv_compiler_fence()
    if isWanted.load(ordering: .acquiring) { giveWay() }
  }

  @inline(__always)
  func unlock() {
    if hasGivenWay { return endGivenWay() }
    isInside.store(false, ordering: .releasing)
  }

  @inline(never)
  private func giveWay() {
    isInside.store(false, ordering: .releasing)
    isOwnerWaiting.store(true, ordering: .relaxed)
    outsiders.lock()
    isOwnerWaiting.store(false, ordering: .relaxed)
    hasGivenWay = true
  }

  @inline(never)
  private func endGivenWay() {
    hasGivenWay = false
    outsiders.unlock()
  }

  /// For any other thread: nil if the owner has not come out at `deadline`, in nanoseconds of the monotonic clock, or
  /// if the lock is not supported.
  func withAccess<R, E>(until deadline: Int64, _ body: () throws(E) -> R) throws(E) -> R? {
    while isOwnerWaiting.load(ordering: .relaxed) {
      if MonotonicClock.now() > deadline { return nil }
      Posix.yield()
    }
    outsiders.lock()
    defer { outsiders.unlock() }
    isWanted.store(true, ordering: .sequentiallyConsistent)
    defer { isWanted.store(false, ordering: .releasing) }
    if !clibuv_membarrier() { return nil }
    while isInside.load(ordering: .acquiring) {
      if MonotonicClock.now() > deadline { return nil }
      Posix.yield()
    }
    return try body()
  }
}
