import CLibUV

// What libuv's loop has under a descriptor's number is the watcher that was started last, and there is one at most: it
// refuses a second start with `EEXIST`. But whatever watches the number, `uv_poll_stop` and `uv_close` of any
// `uv_poll_t` take the number out of the epoll set (`uv__platform_invalidate_fd`), and whoever has it now would never
// hear again. So libuv is not told to stop what it does not watch.

extension HandleActivity {
  /// A task waits for the next event.
  fileprivate static let waiting = HandleActivity(rawValue: 2)
}

/// A `uv_poll_t`, for a callback or for a task that waits. Belongs to the loop's thread.
// Holds because a wait calls its owner on the loop's thread alone.
@safe final class PollEngine: Handle, WaitOwner, @unchecked Sendable {
  let descriptor: Int32
  private(set) var events: PollHandle.Events = []
  /// What the function is called with.
  private var outcome: Result<PollHandle.Events, UVError> = .success([])
  private var waiter: LoopWait?
  /// Whether libuv hands it to the kernel in the next poll.
  private var isFresh = false
  /// Why the kernel has refused the descriptor, as a negative errno, until the callback is told; else 0.
  private var refusal: Int32 = 0

  init(_ descriptor: Int32, on loop: LoopCore) throws(UVError) {
    try loop.requireOnLoop("PollHandle.init")
    if descriptor < 0 {
      throw UVError(
        status: Int32(UV_EBADF.rawValue), call: "PollHandle.init", hint: "Descriptor \(descriptor) is not one.")
    }
    self.descriptor = descriptor
    do throws(UVError) {
      try unsafe super.init(UV_POLL, "PollHandle", on: loop) { uvLoop, memory in
        let handle = unsafe memory.bindMemory(to: uv_poll_t.self, capacity: 1)
        let status = unsafe uv_poll_init(uvLoop, handle, descriptor)
        if status != Int32(UV_EEXIST.rawValue) { return status }
        loop.handles.release(descriptor)
        return unsafe uv_poll_init(uvLoop, handle, descriptor)
      }
    } catch {
      throw PollEngine.explained(error, descriptor, loop)
    }
  }

  override var watchedDescriptor: Int32? { descriptor }

  override var subject: String { " for descriptor \(descriptor)" }

  override var activeText: String { "active for \(events)" }

  private var uvPoll: UnsafeMutablePointer<uv_poll_t> { unsafe memory.assumingMemoryBound(to: uv_poll_t.self) }

  /// Whether libuv watches the descriptor for this handle.
  private var isWatched: Bool { unsafe uv_is_active(uvHandle) != 0 }

  func start(
    for events: PollHandle.Events, _ body: @escaping (Result<PollHandle.Events, UVError>) -> Void
  ) throws(UVError) {
    try requireUsable("start")
    if waiter != nil { throw busy("start") }
    try watch(for: events, "PollHandle.start")
    start { body(self.outcome) }
  }

  func wait(for events: PollHandle.Events, isolation: isolated (any Actor)?) async throws -> PollHandle.Events {
    try requireUsable("wait")
    let wait = LoopWait(.readiness, on: loop, owner: self, Int64(events.rawValue))
    return PollHandle.Events(rawValue: Int32(try await wait.value("PollHandle.wait")))
  }

  /// Its argument and its number are libuv's bits of events.
  func begin(_ wait: LoopWait) {
    do throws(UVError) {
      if function != nil || waiter != nil { throw busy("wait") }
      try watch(for: PollHandle.Events(rawValue: Int32(wait.argument)), "PollHandle.wait")
      waiter = wait
      activate(.waiting)
    } catch {
      wait.resume(throwing: error)
    }
  }

  func withdraw(_ wait: LoopWait) {
    if waiter === wait { _ = takeWaiter() }
  }

  /// It may wait again at once; if not, libuv is told before the poll that nobody does.
  private func takeWaiter() -> LoopWait? {
    guard let wait = waiter.take() else { return nil }
    loop.handles.callBeforePoll(self)
    deactivate(.waiting)
    return wait
  }

  private func busy(_ call: String) -> UVError {
    UVError(
      .busy, call: "PollHandle.\(call)",
      """
      Descriptor \(descriptor) is waited for already, by a callback or by a task. One of them can have the handle at a \
      time.
      """)
  }

  /// Makes libuv watch for exactly these. It does already where nothing has changed, and each change costs three system
  /// calls: two of libuv's, and one that looks at the descriptor before the poll.
  private func watch(for events: PollHandle.Events, _ call: StaticString) throws(UVError) {
    if events.isEmpty || !events.isSubset(of: .all) {
      throw UVError(
        status: Int32(UV_EINVAL.rawValue), call: "\(call)",
        hint: "Wait for at least one of readable, writable, disconnect, prioritized. To wait for none call stop().")
    }
    if isWatched {
      if events == self.events { return }
    } else if !Posix.isOpen(descriptor) {
      throw closedBehind("\(call)")
    }
    var status = startNow(events)
    if status == Int32(UV_EEXIST.rawValue) {
      loop.handles.release(descriptor)
      status = startNow(events)
    }
    do throws(UVError) {
      try check(status, "\(call)")
    } catch {
      throw PollEngine.explained(error, descriptor, loop)
    }
    refusal = 0
    isFresh = true
    self.events = events
    loop.handles.callBeforePoll(self)
  }

  private func startNow(_ events: PollHandle.Events) -> Int32 {
    unsafe uv_poll_start(uvPoll, events.rawValue) { handle, status, events in
      unsafe PollEngine.of(handle?.pointee.data)?.report(status, PollHandle.Events(rawValue: events))
    }
  }

  /// libuv hands a started descriptor to epoll in its next poll, and aborts the process if epoll refuses it: because it
  /// has been closed by then, or its number belongs to a file now. The callback is told after the poll: here it could
  /// close descriptors that have been looked at, and start handles whose descriptors have not.
  override func beforePoll() -> Bool {
    if state.isClosed { return false }
    if !state.isActive {
      letGoOfDescriptor()
      return false
    }
    if !isFresh { return false }
    isFresh = false
    refusal = unsafe Posix.refusal(toPoll: descriptor, by: uv_backend_fd(loop.rawLoop.loop))
    if refusal == 0 { return false }
    _ = unsafe uv_poll_stop(uvPoll)
    return true
  }

  override func afterPoll() {
    if refusal == 0 || !state.isActive { return }
    fail(
      refusal == Int32(UV_EBADF.rawValue)
        ? closedBehind("PollHandle")
        : UVError(
          status: refusal, call: "PollHandle",
          hint: "Descriptor \(descriptor) is not what it was. Close the handle before its descriptor."))
  }

  private func report(_ status: Int32, _ events: PollHandle.Events) {
    if status < 0 {
      // libuv has stopped the handle before it told, and left the descriptor in the epoll set.
      _ = unsafe uv_poll_stop(uvPoll)
      fail(
        UVError(
          status: status, call: "PollHandle",
          hint: "The descriptor was closed or reset, or nobody has the other end any more."))
    } else if function != nil {
      outcome = .success(events)
      call()
    } else {
      takeWaiter()?.resume(returning: Int64(events.rawValue))
    }
  }

  private func fail(_ error: UVError) {
    refusal = 0
    takeWaiter()?.resume(throwing: error)
    outcome = .failure(error)
    call(once: true)
    closeIfDetached()
  }

  private func closedBehind(_ call: String) -> UVError {
    UVError(
      status: Int32(UV_EBADF.rawValue), call: call,
      hint: "Descriptor \(descriptor) was closed behind the handle. Close the handle before its descriptor.")
  }

  /// Says who has the descriptor, where libuv says only that somebody does.
  private static func explained(_ error: UVError, _ descriptor: Int32, _ loop: LoopCore) -> UVError {
    if error.code != .fileExists { return error }
    let isOurs = loop.handles.claimant(of: descriptor) != nil
    return UVError(
      status: Int32(UV_EEXIST.rawValue), call: error.call,
      hint: isOurs
        ? "A PollHandle of loop \"\(loop.name)\" watches descriptor \(descriptor). Use that one, or stop it first."
        : "C code watches descriptor \(descriptor) on loop \"\(loop.name)\".")
  }

  func stop() {
    if state.isClosed { return }
    requireLoop("stop")
    letGoOfDescriptor()
    refusal = 0
    takeWaiter()?.cancel()
    stopCalling()
  }

  override func letGoOfDescriptor() {
    if isWatched { _ = unsafe uv_poll_stop(uvPoll) }
  }

  override func releaseWaits() { waiter?.endClosed() }

  override func willClose() {
    takeWaiter()?.resume(throwing: closedError("wait", .owner))
    if !isWatched { unsafe clibuv_forget_descriptor(uvPoll) }
  }
}
