import CLibUV

/// A `uv_poll_t`: says when a descriptor that somebody else owns can be read or written.
///
/// For C libraries that do their own input and output and only want to be told when:
///
/// ```swift
/// let descriptor = PQsocket(connection)
/// let poll = try PollHandle(descriptor: descriptor)
/// try poll.start(for: .readable) { result in
///   switch result {
///   case .success: PQconsumeInput(connection)
///   case .failure(let error): print(error)
///   }
/// }
/// ```
///
/// The descriptor stays its owner's: closing the handle leaves it open. Close the handle, or stop it, before closing
/// the descriptor. A handle that is not started has no claim to the number: whoever gets it next may watch it, and the
/// old handle does not disturb that.
///
/// The loop looks at each descriptor once more before libuv first waits for it, since libuv aborts the process if the
/// kernel refuses one. Between the two runs nobody's code on the loop; a descriptor that another thread closes just
/// then still aborts.
///
/// > Isolation: Created and used on its loop only; nothing else compiles. A call that reaches it off the loop through
/// unsafe code traps, in release builds too.
///
/// > Ownership: While it is started the loop keeps it. The callback is released at `stop`, at `close`, and after a
/// failure.
///
/// > libuv: `uv_poll_t`, `uv_poll_init`, which makes the descriptor non-blocking.
public final class PollHandle: LoopHandle {
  private let poll: Poll

  /// What to wait for, and what has come.
  public struct Events: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// libuv's bits.
    public let rawValue: Int32

    /// Events by libuv's bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// There is something to read, or the end. `UV_READABLE`.
    public static let readable = Events(rawValue: Int32(UV_READABLE.rawValue))
    /// There is room to write. `UV_WRITABLE`.
    public static let writable = Events(rawValue: Int32(UV_WRITABLE.rawValue))
    /// The peer has closed, or ended its writing. Linux and BSD only. `UV_DISCONNECT`.
    public static let disconnect = Events(rawValue: Int32(UV_DISCONNECT.rawValue))
    /// There is urgent data, or a device has an interrupt. Linux only. `UV_PRIORITIZED`.
    public static let prioritized = Events(rawValue: Int32(UV_PRIORITIZED.rawValue))

    fileprivate static let all: Events = [.readable, .writable, .disconnect, .prioritized]

    /// The names of the events.
    public var description: String {
      let names: [(Events, String)] = [
        (.readable, "readable"), (.writable, "writable"), (.disconnect, "disconnect"), (.prioritized, "prioritized"),
      ]
      return "[" + names.filter { contains($0.0) }.map(\.1).joined(separator: ", ") + "]"
    }
  }

  /// A handle for a descriptor, not yet started.
  ///
  /// - Parameters:
  ///   - descriptor: A socket, pipe, terminal or other descriptor that the system can poll.
  ///   - isolation: The loop's own isolation; leave it out.
  /// - Throws: ``UVError/Code/badFileDescriptor`` (`EBADF`) if it is not open; ``UVError/Code/notPermitted`` (`EPERM`)
  ///   for a regular file; ``UVError/Code/fileExists`` (`EEXIST`) while the loop watches it already, by a handle that is
  ///   started or for C code; ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(descriptor: Int32, isolation: isolated any LoopActor = #isolation) throws(UVError) {
    poll = try Poll(descriptor, on: isolation.core(for: "PollHandle.init"))
    super.init(poll)
  }

  /// The descriptor that it watches.
  public var descriptor: Int32 { poll.descriptor }

  /// Calls `body` whenever one of `events` holds, for as long as it holds, once a turn.
  ///
  /// On a started handle it replaces events and callback. A failure (a connection that was reset or refused, a pipe
  /// without a reader, a descriptor that was closed before the loop first waited for it) comes once and stops the
  /// handle; it is `EBADF`, the one code that libuv has for it, or `EPERM` where the number has come to belong to a
  /// file. Of a descriptor that is closed later the kernel says nothing: the handle stays active and hears no more.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` without an event, or with unknown ones;
  ///   ``UVError/Code/badFileDescriptor`` if the descriptor has been closed; ``UVError/Code/fileExists`` while another
  ///   handle, or C code, watches it on this loop; ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > libuv: `uv_poll_start`.
  public func start(for events: Events, _ body: @escaping (Result<Events, UVError>) -> Void) throws(UVError) {
    try poll.start(for: events, body)
  }

  /// Waits until one of `events` holds, once.
  ///
  /// ```swift
  /// while !isDone {
  ///   try await poll.wait(for: .readable)
  ///   isDone = try readSome()
  /// }
  /// ```
  ///
  /// Who waits again at once, for the same events, causes no system call. Between two waits the handle is inactive: what
  /// holds meanwhile is told to the next wait, since the kernel still says so then.
  ///
  /// - Returns: Those of the events that hold.
  /// - Throws: As ``start(for:_:)`` does, and what that gives its callback as a failure; ``UVError/Code/busy`` while the
  ///   handle has been started, or another task waits at it; ``UVError/Code/handleClosed`` when it is closed meanwhile;
  ///   ``UVError/Code/loopClosed`` when the loop shuts down; `CancellationError`.
  ///
  /// > Isolation: On the loop, as all of the handle.
  ///
  /// > Cancellation: Ends the wait, and takes nothing from the descriptor.
  @discardableResult
  public func wait(for events: Events, isolation: isolated (any Actor)? = #isolation) async throws -> Events {
    try await poll.wait(for: events, isolation: isolation)
  }

  /// Stops the handle and releases its callback. From now on the descriptor may be closed, and its number be watched by
  /// another handle. A task that waits gets a `CancellationError`. Twice, and on a closed handle, it does nothing.
  ///
  /// > libuv: `uv_poll_stop`.
  public func stop() { poll.stop() }
}

// What libuv's loop has under a descriptor's number is the watcher that was started last, and there is one at most: it
// refuses a second start with `EEXIST`. But whatever watches the number, `uv_poll_stop` and `uv_close` of any `uv_poll_t`
// take the number out of the epoll set (`uv__platform_invalidate_fd`), and whoever has it now would never hear again. So
// libuv is not told to stop what it does not watch.

extension HandleActivity {
  /// A task waits for the next event.
  fileprivate static let waiting = HandleActivity(rawValue: 2)
}

/// The next event, for one task.
private struct Readiness: WaitSource, @unchecked Sendable {  // Holds because the loop's thread alone uses `poll`.
  typealias Value = Result<PollHandle.Events, UVError>

  let poll: Poll
  let events: PollHandle.Events

  func begin(_ wait: LoopWait<Readiness>) { poll.begin(wait, for: events) }

  func withdraw(_ wait: LoopWait<Readiness>) { poll.withdraw(wait) }
}

@safe private final class Poll: Handle {
  let descriptor: Int32
  private(set) var events: PollHandle.Events = []
  private var body: ((Result<PollHandle.Events, UVError>) -> Void)?
  private var waiter: LoopWait<Readiness>?
  /// Whether libuv hands it to the kernel in the next poll.
  private var isFresh = false
  /// Why the kernel has refused the descriptor, as a negative errno, until the callback is told; else 0.
  private var refusal: Int32 = 0

  init(_ descriptor: Int32, on core: LoopCore) throws(UVError) {
    try core.requireOnLoop("PollHandle.init")
    if descriptor < 0 {
      throw UVError(
        status: Int32(UV_EBADF.rawValue), call: "PollHandle.init", hint: "Descriptor \(descriptor) is not one.")
    }
    self.descriptor = descriptor
    do throws(UVError) {
      try unsafe super.init(UV_POLL, "PollHandle", on: core) { loop, memory in
        unsafe uv_poll_init(loop, memory.bindMemory(to: uv_poll_t.self, capacity: 1), descriptor)
      }
    } catch {
      throw Poll.explained(error, descriptor, core)
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
    try enter("start")
    if waiter != nil { throw busy("start") }
    try watch(for: events, "PollHandle.start")
    // Released at the end, when the handle is in order: what the callback held may call back into it.
    let replaced = self.body
    self.body = body
    activate()
    _ = consume replaced
  }

  func wait(for events: PollHandle.Events, isolation: isolated (any Actor)?) async throws -> PollHandle.Events {
    try enter("wait")
    let wait = LoopWait(.readiness, for: Readiness(poll: self, events: events), on: core)
    return try await wait.value("PollHandle.wait").get()
  }

  func begin(_ wait: LoopWait<Readiness>, for events: PollHandle.Events) {
    do throws(UVError) {
      if body != nil || waiter != nil { throw busy("wait") }
      try watch(for: events, "PollHandle.wait")
      waiter = wait
      activate(.waiting)
    } catch {
      wait.resume(returning: .failure(error))
    }
  }

  func withdraw(_ wait: LoopWait<Readiness>) {
    if waiter === wait { _ = takeWaiter() }
  }

  /// It may wait again at once; if not, libuv is told before the poll that nobody does.
  private func takeWaiter() -> LoopWait<Readiness>? {
    guard let wait = waiter.take() else { return nil }
    core.handles.remind(self)
    deactivate(.waiting)
    return wait
  }

  private func busy(_ call: String) -> UVError {
    UVError(
      .busy, call: "PollHandle.\(call)",
      """
      Descriptor \(descriptor) is waited for already, by a callback or by a task. One of them can have the handle at a time.
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
      core.handles.release(descriptor)
      status = startNow(events)
    }
    do throws(UVError) {
      try check(status, "\(call)")
    } catch {
      throw Poll.explained(error, descriptor, core)
    }
    refusal = 0
    isFresh = true
    self.events = events
    core.handles.remind(self)
  }

  private func startNow(_ events: PollHandle.Events) -> Int32 {
    unsafe uv_poll_start(uvPoll, events.rawValue) { handle, status, events in
      unsafe Poll.of(handle?.pointee.data)?.report(status, PollHandle.Events(rawValue: events))
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
    refusal = unsafe Posix.refusal(toPoll: descriptor, by: uv_backend_fd(core.machinery.loop))
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
    } else if let body {
      call { body(.success(events)) }
    } else {
      takeWaiter()?.resume(returning: .success(events))
    }
  }

  private func fail(_ error: UVError) {
    let body = body
    self.body = nil
    refusal = 0
    takeWaiter()?.resume(returning: .failure(error))
    fired()
    if let body { call { body(.failure(error)) } }
    closeIfOrphan()
  }

  private func closedBehind(_ call: String) -> UVError {
    UVError(
      status: Int32(UV_EBADF.rawValue), call: call,
      hint: "Descriptor \(descriptor) was closed behind the handle. Close the handle before its descriptor.")
  }

  /// Says who has the descriptor, where libuv says only that somebody does.
  private static func explained(_ error: UVError, _ descriptor: Int32, _ core: LoopCore) -> UVError {
    if error.code != .fileExists { return error }
    let isOurs = core.handles.claimant(of: descriptor) != nil
    return UVError(
      status: Int32(UV_EEXIST.rawValue), call: error.call,
      hint: isOurs
        ? "A PollHandle of loop \"\(core.name)\" watches descriptor \(descriptor). Use that one, or stop it first."
        : "C code watches descriptor \(descriptor) on loop \"\(core.name)\".")
  }

  func stop() {
    if state.isClosed { return }
    requireLoop("stop")
    letGoOfDescriptor()
    refusal = 0
    takeWaiter()?.cancel()
    let body = body
    self.body = nil
    deactivate()
    _ = consume body
  }

  override func letGoOfDescriptor() {
    if isWatched { _ = unsafe uv_poll_stop(uvPoll) }
  }

  override func releaseWaits() { waiter?.close() }

  override func willClose() {
    takeWaiter()?.resume(returning: .failure(closedError("wait", .owner)))
    if !isWatched { unsafe clibuv_forget_descriptor(uvPoll) }
    body = nil
  }
}
