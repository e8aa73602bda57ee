import CLibUV
import Synchronization

/// Counts the forks between the process that loaded the library and this one.
///
/// The child of a `fork` has none of its parent's threads and shares its parent's epoll set: a parent's loop must not
/// be touched there. Each loop remembers the generation that it was made in.
enum ProcessGeneration {
  private static let counter = Atomic<UInt32>(0)

  /// Registering is a side effect of the first read; the slots are made here, since a child must not wait for
  /// somebody else's half-done initialisation.
  private static let watch: Void = {
    _ = ThreadSlot.current
    _ = ThreadSlot.isolating
    _ = ThreadSlot.serial
    _ = ThreadSlot.occupant
    let status = pthread_atfork(nil, nil) {
      ProcessGeneration.counter.add(1, ordering: .relaxed)
      ThreadSlot.current.word = 0
      ThreadSlot.isolating.word = 0
      ThreadSlot.occupant.word = 0
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
