import CLibUV

/// One word of storage a thread.
///
/// C's `_Thread_local` cannot be declared from Swift; a pthread key costs 2 to 3 ns a read.
struct ThreadSlot: Sendable {
  private let key: pthread_key_t

  init() {
    var key = pthread_key_t()
    let status = unsafe pthread_key_create(&key, nil)
    if status != 0 {
      fatalError("UVLoop: pthread_key_create failed with errno \(status): the process has no key left.")
    }
    self.key = key
  }

  @inline(__always)
  var word: UInt {
    get { UInt(bitPattern: unsafe pthread_getspecific(key)) }
    nonmutating set {
      let status = unsafe pthread_setspecific(key, UnsafeRawPointer(bitPattern: newValue))
      if status != 0 { fatalError("UVLoop: pthread_setspecific failed with errno \(status).") }
    }
  }
}

extension ThreadSlot {
  /// The loop that runs on this thread and has not ended: what `isCurrent` and `current` are made of.
  static let current = ThreadSlot()
  /// The loop whose jobs this thread runs: its own thread, also while that lingers, or one of the fallback executor's.
  static let isolating = ThreadSlot()
  /// The serial number of this thread's identity.
  static let serial = ThreadSlot()
  /// What this thread holds that others wait for, a `WorkerLease`.
  static let workerLease = ThreadSlot()
  /// The executor of the actors' thread that this is; with its lowest bit set where the jobs of one run that has ended.
  static let actorThread = ThreadSlot()
  /// The job that a worker runs and that must resume on its loop with both executors.
  static let resumptionHint = ThreadSlot()
}
