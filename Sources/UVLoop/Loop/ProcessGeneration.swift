import CLibUV
import Synchronization

/// Counts the forks between the process that loaded the library and this one.
///
/// The child of a `fork` has none of its parent's threads and shares its parent's epoll set: a parent's loop must not
/// be touched there. Each loop remembers the generation that it was made in.
enum ProcessGeneration {
  private static let counter = Atomic<UInt32>(0)

  /// Registering is a side effect of the first read. All that the handler touches is made here and used, since to name
  /// it is not enough for the compiler: a child that found it half made by a thread which it does not have would wait
  /// for ever.
  private static let watch: Void = {
    for slot in [ThreadSlot.current, .isolating, .serial, .workerLease] { _ = slot.word }
    counter.add(0, ordering: .relaxed)
    let status = pthread_atfork(nil, nil) {
      ProcessGeneration.counter.add(1, ordering: .relaxed)
      ThreadSlot.current.word = 0
      ThreadSlot.isolating.word = 0
      ThreadSlot.workerLease.word = 0
    }
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }()

  /// Call once for each new loop.
  static func join() -> UInt32 {
    _ = watch
    return current
  }

  @inline(__always)
  static var current: UInt32 { counter.load(ordering: .relaxed) }
}
