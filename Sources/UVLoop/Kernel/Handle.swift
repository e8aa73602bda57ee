import CLibUV

// Who owns what:
//   the memory of the uv handle   the loop, from the moment its init returned 0 to the close callback, which frees it
//   this object                   the loop's registry, for as long as libuv uses the memory; and the public wrapper
//   the user's function           this object, while the handle is active; let go at the latest when it closes
//
// The states are those of ``HandleState``. A wrapper that goes away closes its handle, at once if it is inactive, else
// as soon as it becomes so: a started timer keeps firing though nobody holds it.

/// The life of one libuv handle, written once for all kinds. Belongs to the loop's thread; others may read its state,
/// and what else a snapshot shows, under the registry lock.
///
/// A kind derives from it, adds its calls, and overrides the hooks at the end.
@safe class Handle: LoopMember {
  final let loop: LoopCore
  /// The public type's name, for messages.
  final let typeName: StaticString
  final let memory: UnsafeMutableRawPointer
  final private(set) var state = HandleState.inactive
  /// What it calls; see ``start(calling:)``.
  final private(set) var function: (() -> Void)?
  /// Nobody holds the wrapper any more.
  final private var isDetached = false
  /// Where it stands in the registry, which keeps this number.
  final var index = -1
  /// Whether it waits for its `beforePoll`; kept by the registry.
  final var isCalledBeforePoll = false
  final private var closeWaiters = Waiters()
  /// Where it was made, if anybody wants to know.
  final let site: CallSite?

  /// Allocates the memory and lets `initialise` make it a handle. From then on the loop owns it. Where that fails there
  /// is no handle, and the memory is freed without a close. A kind that needs no start is given its `function` here.
  ///
  /// - Parameter isTakenOn: Whether the loop has taken on what it is for. A shutdown that another thread asks for in
  ///   this moment closes it then, and does not refuse it.
  init(
    _ type: uv_handle_type, _ typeName: StaticString, on loop: LoopCore, calling function: (() -> Void)? = nil,
    isTakenOn: Bool = false, _ initialise: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> Int32
  ) throws(UVError) {
    if !(isTakenOn && loop.isCurrent && loop.life.acceptsHandles) { try loop.requireOnLoop("\(typeName).init") }
    self.loop = loop
    self.typeName = typeName
    self.function = function
    site = loop.observation.siteIfWanted
    unsafe memory = .allocate(byteCount: uv_handle_size(type), alignment: 16)
    do throws(UVError) {
      unsafe try check(initialise(loop.rawLoop.loop, memory), "\(typeName).init")
    } catch {
      unsafe memory.deallocate()
      throw error
    }
    unsafe uvHandle.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
    loop.handles.add(self)
  }

  // MARK: On any thread

  /// Before each call that starts the handle: throws where it is closed, or the loop shuts down; then traps off the
  /// loop.
  @inline(__always)
  final func requireUsable(_ call: StaticString) throws(UVError) {
    if let closeReason = state.closeReason { throw closedError(call, closeReason) }
    try loop.requireRunning("\(typeName).\(call)")
    requireLoop(call)
  }

  /// Handles cannot leave their loop in safe code; unsafe code is told.
  @inline(__always)
  final func requireLoop(_ call: StaticString) {
    loop.requireCurrent("\(typeName).\(call)", instead: LoopCore.wayOntoLoop)
  }

  /// For a property that shows the state; traps off the loop.
  @inline(__always)
  final func requireReadable(_ property: StaticString) { loop.requireReadable("\(typeName).\(property)") }

  /// A debugger asks for it on any thread, and so it never traps.
  final var description: String {
    "\(typeName)\(subject) on loop \"\(loop.name)\", \(loop.isReadable ? stateText : LoopCore.unreadState)"
  }

  private final var stateText: String { state.isClosed ? "closed" : mayCall ? activeText : "inactive" }

  final func closedError(_ call: StaticString, _ closeReason: CloseReason) -> UVError {
    switch closeReason {
    case .loop:
      return loop.closedError("\(typeName).\(call)")
    case .owner:
      return UVError(
        .handleClosed, call: "\(typeName).\(call)",
        "This \(typeName) of loop \"\(loop.name)\" has been closed, and a closed handle stays closed. Make a new one.")
    }
  }

  /// Nobody holds it any more, on whatever thread. A loop that has ended has closed it.
  final func detach() {
    // Without a closure where it can be: that would be a block of memory for each handle.
    if loop.isCurrent { becomeDetached() } else { loop.enqueue { self.becomeDetached() } }
  }

  // MARK: On the loop

  final var uvHandle: UnsafeMutablePointer<uv_handle_t> {
    unsafe memory.assumingMemoryBound(to: uv_handle_t.self)
  }

  /// Finds the object again in a callback from C. The registry keeps it while callbacks can come.
  static func of(_ data: UnsafeMutableRawPointer?) -> Self? {
    guard let data = unsafe data else { return nil }
    return unsafe Unmanaged<Self>.fromOpaque(data).takeUnretainedValue()
  }

  /// Records that a callback may come, for this reason.
  final func activate(_ reason: HandleActivity = .started) {
    if state.activity.contains(reason) { return }
    _ = loop.registryLock.withOwnership { state.activate(reason) }
  }

  /// Records that no callback will come for this reason. Closes the handle if it was the last one, and nobody holds it.
  final func deactivate(_ reason: HandleActivity = .started) {
    if loop.registryLock.withOwnership({ state.deactivate(reason) }) { closeIfDetached() }
  }

  // A function is released last, when the handle is in order: what it captured may call back into the handle.

  /// It has been started, and calls `function` from now on.
  final func start(calling function: @escaping () -> Void) {
    let replaced = self.function
    self.function = function
    activate()
    _ = consume replaced
  }

  /// It has been stopped, and lets go of its function.
  final func stopCalling() {
    let function = function
    self.function = nil
    deactivate()
    _ = consume function
  }

  /// In libuv's callback, and last there: calls the user's function. A one-shot is inactive before it calls; whether
  /// anybody needs it is known only afterwards.
  @inline(__always)
  final func call(once isOnce: Bool = false) {
    guard let function else { return }
    if isOnce {
      self.function = nil
      _ = loop.registryLock.withOwnership { state.deactivate(.started) }
    }
    loop.counters.callbacks.add()
    loop.observation.observing(LoopCall(kind: CallKind(rawValue: typeName.description), site: site), function)
    closeIfDetached()
  }

  final func closeIfDetached() {
    if isDetached && !state.isActive { close(by: .owner) }
  }

  private final func becomeDetached() {
    isDetached = true
    if let site, !state.isClosed && !state.isActive { loop.observation.observer.handleWasDropped(typeName, site) }
    closeIfDetached()
  }

  /// What a wrapper's `close` does.
  final func close() {
    if state.isClosed { return }
    requireLoop("close")
    close(by: .owner)
  }

  /// Closes the handle. From now on no callback of it runs. Twice is once.
  final func close(by closeReason: CloseReason) {
    if !loop.registryLock.withOwnership({ state.close(by: closeReason) }) { return }
    let function = function
    self.function = nil
    willClose()
    loop.handles.noteClosed()
    if mustStayOpen {
      // Left to the end of the process, with its memory. No callback finds us any more, and nobody waits for the close.
      unsafe uvHandle.pointee.data = nil
      loop.registryLock.withOwnership { state.finish() }
      loop.handles.leaveOpen(self)
      resumeCloseWaiters()
      _ = consume function
      return
    }
    unsafe uv_close(uvHandle) { handle in
      guard let handle = unsafe handle else { return }
      unsafe Handle.of(handle.pointee.data)?.free()
    }
    _ = consume function
  }

  /// In the close callback: libuv has let go of the memory.
  private final func free() {
    loop.registryLock.withOwnership { state.finish() }
    willFree()
    // First out of the registry: whoever reads that from outside also reads the memory.
    loop.handles.remove(self)
    unsafe memory.deallocate()
    resumeCloseWaiters()
  }

  private final func resumeCloseWaiters() {
    if closeWaiters.isEmpty { return }
    while let wait = closeWaiters.popFirst() { wait.resume() }
  }

  /// Waits for that; see ``LoopHandle/closed(isolation:)``.
  final func closed(isolation: isolated (any Actor)?) async -> Bool {
    requireReadable("closed")
    if case .closed = state { return true }
    let wait = LoopWait(.handleClose, on: loop)
    closeWaiters.append(wait)
    defer { closeWaiters.remove(wait) }
    return await wait.isResumed(isolation: isolation) { wait.cancel() }
  }

  /// Shutdown, first part. Whoever waits for the close of an open handle may be what the loop's tasks wait for.
  final func releaseAllWaits() {
    if !state.isClosed { while let wait = closeWaiters.popFirst() { wait.endClosed() } }
    releaseWaits()
  }

  // MARK: On any thread: what a kind adds

  /// The wrapper is gone.
  func wrapperIsGone() { detach() }
  /// Whether a callback may come. As the two that follow, others ask for it under the registry lock.
  var mayCall: Bool { state.isActive }
  /// How long until it calls, for one that waits for time.
  var remaining: Duration? { nil }
  /// The descriptor that it watches.
  var watchedDescriptor: Int32? { nil }

  // MARK: On the loop: what a kind adds

  /// What it is about, for a description: " for descriptor 5".
  var subject: String { "" }
  /// Its state while it may call, for a description.
  var activeText: String { "active" }

  /// It closes: let go of what was claimed. The state says so already.
  func willClose() {}
  /// Whether libuv can close it no more; asked after `willClose`.
  var mustStayOpen: Bool { false }
  /// The memory is about to be freed.
  func willFree() {}
  /// Shutdown, first part: ends the waits of its own with `loopClosed`.
  func releaseWaits() {}
  /// Lets go of the descriptor that libuv still watches for an inactive handle.
  func letGoOfDescriptor() {}
  /// How many requests libuv has of it, where a kind cannot do without.
  var uvRequests: Int { 0 }
  /// Before the poll, if it was asked for with `LoopHandles.callBeforePoll`. It calls nobody: it answers true if it has
  /// to, which makes the poll one that does not wait, and brings `afterPoll`.
  func beforePoll() -> Bool { false }
  /// After the poll, if `beforePoll` asked for it. The handle may have been stopped, started anew or closed meanwhile.
  func afterPoll() {}
}
