import CLibUV
import Synchronization

/// The thread of a loop: which one it is, and whether the caller runs there.
///
/// The address of this object is what marks a thread as the loop's.
// Holds because both variables are written before anybody has the loop.
@safe final class LoopThread: @unchecked Sendable {
  private let generation = ProcessGeneration.join()
  private let currentSlot = ThreadSlot.current
  private let isolatingSlot = ThreadSlot.isolating
  /// Nil until it has started.
  private(set) var identity: ThreadIdentity?
  /// For those whom the core keeps, and the thread, which keeps the core.
  private unowned(unsafe) var owner: LoopCore?

  // MARK: On any thread

  private var address: UInt { UInt(bitPattern: unsafe Unmanaged.passUnretained(self).toOpaque()) }

  /// On the loop's thread, while the loop is a loop.
  @inline(__always)
  var isCurrent: Bool { currentSlot.word == address }

  /// Where the loop's isolation holds: its thread, also while that only lingers, and the fallback executor's.
  @inline(__always)
  var isIsolating: Bool { isolatingSlot.word == address }

  /// False in the child of a fork, where the thread does not exist.
  @inline(__always)
  var isOfThisProcess: Bool { generation == ProcessGeneration.current }

  /// Marks the calling thread. `false` for both when it stops being one of the loop's.
  func mark(current isCurrent: Bool, isolating isIsolating: Bool) {
    currentSlot.word = isCurrent ? address : 0
    isolatingSlot.word = isIsolating ? address : 0
  }

  /// Runs `body` in the loop's isolation, on a thread that is not the loop's.
  func isolating<R>(_ body: () -> R) -> R {
    // The calling thread may itself be in the middle of a job of another loop that has ended.
    let outer = isolatingSlot.word
    mark(current: false, isolating: true)
    defer { isolatingSlot.word = outer }
    return body()
  }

  /// The core, for code that the core keeps, or its thread.
  var core: LoopCore {
    guard let owner = unsafe owner else { fatalError("UVLoop: a loop is used before its start.") }
    return owner
  }

  /// The core whose loop runs on the calling thread.
  static var current: LoopCore? { core(by: ThreadSlot.current) }

  /// The core whose jobs the calling thread runs.
  static var isolating: LoopCore? { core(by: ThreadSlot.isolating) }

  private static func core(by slot: ThreadSlot) -> LoopCore? {
    guard let this = unsafe UnsafeRawPointer(bitPattern: slot.word) else { return nil }
    return unsafe Unmanaged<LoopThread>.fromOpaque(this)._withUnsafeGuaranteedRef { $0.core }
  }

  // MARK: On the thread that makes the loop

  /// What goes to the new thread. It holds the executor too, which the core itself cannot.
  private final class Start: Sendable {
    let core: LoopCore
    let executor: LoopTaskExecutor
    let latch = StartLatch()

    init(_ core: LoopCore, _ executor: LoopTaskExecutor) {
      self.core = core
      self.executor = executor
    }
  }

  /// Starts it, and returns who it is once it runs.
  func start(_ core: LoopCore, _ executor: LoopTaskExecutor) throws(UVError) -> ThreadIdentity {
    unsafe owner = core
    let start = Start(core, executor)
    try DetachedThread.start(named: core.name) { LoopThread.main(start) }
    let identity = start.latch.wait()
    self.identity = identity
    return identity
  }

  // MARK: On the loop

  private static func main(_ start: Start) {
    let core = start.core
    let executor = start.executor
    core.thread.mark(current: true, isolating: true)
    start.latch.open()
    core.driver.runUntilEnded()
    core.shutdown.deliver()
    withExtendedLifetime(executor) {}
  }
}

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
    for slot in [ThreadSlot.current, .isolating, .serial, .workerLease, .actorThread, .resumptionHint] { _ = slot.word }
    counter.add(0, ordering: .relaxed)
    let status = pthread_atfork(nil, nil) {
      ProcessGeneration.counter.add(1, ordering: .relaxed)
      ThreadSlot.current.word = 0
      ThreadSlot.isolating.word = 0
      ThreadSlot.workerLease.word = 0
      ThreadSlot.actorThread.word = 0
      ThreadSlot.resumptionHint.word = 0
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
