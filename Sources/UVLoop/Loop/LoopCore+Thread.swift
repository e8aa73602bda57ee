import Synchronization

// Where the calling code is, as seen from a loop, and what is refused there.

extension LoopCore {
  var address: UInt { UInt(bitPattern: unsafe Unmanaged.passUnretained(self).toOpaque()) }

  /// On this loop's thread, while the loop is a loop.
  @inline(__always)
  var isCurrent: Bool { currentSlot.word == address }

  /// Where this loop's isolation holds: its thread, its reaper, or whoever drains its late jobs.
  @inline(__always)
  var isIsolating: Bool { isolatingSlot.word == address }

  /// Where the state of what belongs to the loop may be read: in its isolation, and anywhere once the loop has ended,
  /// since nothing changes any more then.
  @inline(__always)
  var isReadable: Bool { isIsolating || life == .stopped }

  /// Whether this loop runs the actor. There are actors that name a loop and run elsewhere: one of another module, which
  /// keeps the executor with which it was compiled when it is made a `LoopActor` later, and one that has an executor of
  /// its own. The compiler accepts both.
  ///
  /// Generic over `Actor`, so that the actor's own answer is asked for. In code about a `LoopActor` the name means what
  /// this library would say.
  @inline(__always)
  func isExecutor(of actor: some Actor) -> Bool {
    // Holds because an executor is two words, and the first one is the object's address.
    unsafe unsafeBitCast(actor.unownedExecutor, to: (UInt, UInt).self).0 == address
  }

  /// For a call that was made for an actor, or in the isolation of one, that names this loop and does not run there.
  @inline(never)
  func strangerError(_ actor: any Actor, _ call: String) -> UVError {
    UVError(
      .notOnLoop, call: call,
      """
      \(type(of: actor)) names loop "\(name)", and does not run there. Declare the conformance with the actor, leave \
      `unownedExecutor` to LoopActor, and let `loop` always be the same.
      """)
  }

  /// Marks the calling thread. `false` for both when the thread stops being one of this loop.
  func mark(current isCurrent: Bool, isolating isIsolating: Bool) {
    currentSlot.word = isCurrent ? address : 0
    isolatingSlot.word = isIsolating ? address : 0
  }

  /// The core whose loop runs on the calling thread.
  static var current: LoopCore? { core(at: ThreadSlot.current) }

  /// The core whose jobs the calling thread runs.
  static var isolating: LoopCore? { core(at: ThreadSlot.isolating) }

  private static func core(at slot: ThreadSlot) -> LoopCore? {
    guard let this = unsafe UnsafeRawPointer(bitPattern: slot.word) else { return nil }
    return unsafe Unmanaged<LoopCore>.fromOpaque(this).takeUnretainedValue()
  }
}

// MARK: - What is refused

extension LoopCore {
  /// For a wait that was accepted, and that shutdown has ended.
  func closedWhileWaiting(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Loop \"\(name)\" was shut down while \(call) waited.")
  }

  /// For a call that came too late.
  @inline(never)
  func closedError(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Loop \"\(name)\" has been shut down, or is about to be, and refused \(call).")
  }

  /// Refuses a call once shutdown has begun.
  @inline(__always)
  func requireRunning(_ call: @autoclosure () -> String) throws(UVError) {
    if lifeState.load(ordering: .acquiring) != Life.running.rawValue { throw closedError(call()) }
  }

  /// Guards calls that need no `await` on the loop: throws where the loop has ended, and where an actor of another loop
  /// calls.
  func requireOnLoop(_ call: @autoclosure () -> String) throws(UVError) {
    try requireRunning(call())
    if !isCurrent { throw offLoopError(call(), "Use `await loop.run { loop in … }` or `loop.post { … }`.") }
  }

  /// For a call that was made off the loop's thread, with what to do instead.
  func offLoopError(_ call: String, _ instead: String) -> UVError {
    requireOwnProcess()
    return UVError(
      .notOnLoop, call: call,
      """
      \(call) must be called on the thread of loop "\(name)", \(threadText), and was called on \
      \(ThreadIdentity.current). \(instead)
      """)
  }

  /// For calls that only unsafe code can make in the wrong place.
  @inline(__always)
  func requireCurrent(_ what: @autoclosure () -> String, instead: @autoclosure () -> String) {
    if !isCurrent { trapOffLoop(what(), instead()) }
  }

  /// For what only looks; see ``isReadable``.
  @inline(__always)
  func requireReadable(_ what: @autoclosure () -> String) {
    if !isReadable { trapOffLoop(what(), LoopCore.wayOntoLoop) }
  }

  /// What to do instead of a call off the loop.
  static var wayOntoLoop: String { "Use `loop.post { … }` or `await loop.run { loop in … }` there." }

  /// In place of a state that may not be read here.
  static var unreadState: String { "asked off its loop" }

  func trapOffLoop(_ what: String, _ instead: String) -> Never {
    fatalError(
      """
      UVLoop: \(what) was called off its loop. It belongs to loop "\(name)" on \(threadText); the call came from \
      \(ThreadIdentity.current). \(instead)
      """)
  }

  /// Traps in the child of a fork, where the loop's thread does not exist and its epoll set is the parent's.
  @inline(__always)
  func requireOwnProcess() {
    if !isOwnProcess {
      fatalError(
        """
        UVLoop: loop "\(name)" belongs to the parent of this process. After a fork its thread does not exist here, and \
        touching it would disturb the parent. Make a new EventLoop in the child, or exec.
        """)
    }
  }

  @inline(__always)
  var isOwnProcess: Bool { generation == ProcessGeneration.current }

  var threadText: String { thread.map(String.init(describing:)) ?? "a thread that has not started" }

  /// Where the current task is, and what it prefers.
  enum Preference {
    /// On this loop's thread, without a preference.
    case none
    /// On this loop's thread, and it prefers the loop.
    case loop(LoopTaskExecutor)
    /// On another thread, or it prefers somebody else.
    case elsewhere
  }

  var preference: Preference {
    guard isCurrent, let executor = owner?.taskExecutor else { return .elsewhere }
    let preferred = unsafe withUnsafeCurrentTask { unsafe $0?.unownedTaskExecutor }
    guard let preferred = unsafe preferred else { return .none }
    return unsafe preferred == executor.asUnownedTaskExecutor() ? .loop(executor) : .elsewhere
  }
}
