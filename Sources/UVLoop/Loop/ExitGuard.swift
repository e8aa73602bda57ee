import CLibUV
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// When a process ends by `exit`, or by the end of `main`, its other threads go on, and libuv's library destructor takes
// down what all loops share: the pool, for whose threads it waits, and then the pool's lock; and the pipe that is its
// lock for signals. A loop's thread that comes later finds a lock that is none any more, and libuv aborts the process.
// So it does where the pool's threads are still being made.
//
// What is registered with `atexit` runs before the destructors of libraries: from then on nobody comes in, and who is
// inside is waited for. It is registered with the first loop of a process, so that what the program registers later,
// and in which it may shut its loops down, runs before.

/// Lets in what uses the part of libuv that ends with the process, for as long as it is there.
enum ExitGuard {
  /// The top bit says that the process exits, the rest counts who is inside.
  private static let word = Atomic<UInt>(0)
  private static let exits: UInt = 1 << 63

  private static let registration: Void = {
    word.store(0, ordering: .relaxed)
    // In the child of a fork nobody is inside: it has none of the threads.
    let status = pthread_atfork(nil, nil) { ExitGuard.word.store(0, ordering: .relaxed) }
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
    // Where there is no memory for it the process may abort at its exit, as it would without us.
    _ = atexit { ExitGuard.shut() }
  }()

  /// Call for each new loop.
  static func register() { _ = registration }

  /// True if the caller may go on, and then it calls ``leave()``. In between nothing of the user's may run: the thread
  /// could come to `exit` there, and would wait for itself.
  @inline(__always)
  static func enter() -> Bool {
    if word.add(1, ordering: .acquiringAndReleasing).oldValue & exits == 0 { return true }
    leave()
    return false
  }

  @inline(__always)
  static func leave() { word.subtract(1, ordering: .acquiringAndReleasing) }

  /// A caller is inside for microseconds, unless its thread lost the CPU: then it gets this one. The first, for which
  /// the pool's threads are made, may take some milliseconds. To a thread of real time others get no CPU while it
  /// yields, only while it sleeps.
  private static func shut() {
    word.bitwiseOr(exits, ordering: .acquiringAndReleasing)
    var checks = 0
    while word.load(ordering: .acquiring) != exits {
      checks += 1
      if checks < 100 { Posix.yield() } else { usleep(50) }
    }
    if ThreadSlot.workerLease.word == 0 { WorkerLeases.take(ExitingThread.instance) }
  }
}

/// Holds the thread that exits. What was registered with `atexit` before the first loop runs after us, and may wait for
/// a loop: what it waits for must be refused where it would wait for the end of the process.
private final class ExitingThread: WorkerLease {
  static let instance = ExitingThread()

  var isOver: Bool { false }
  func block() {}
  func unblock() {}
  func exempt(from core: LoopCore) {}
}
