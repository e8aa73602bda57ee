import CLibUV

/// A listening socket, watched by a `uv_poll_t`. Belongs to the loop's thread.
///
/// `uv_listen` is not used: out of descriptors, libuv 1.44 accepts and closes whatever waits, and where another thread
/// takes the descriptor that it keeps for that, it never returns to its loop (`uv__emfile_trick` in `stream.c`).
@safe final class ListenerEngine: Handle, LoopDeadline {
  let socket: ListeningSocket
  /// It lets go of its engines when it ends.
  private let listener: ListenerCore
  private var accepting = AcceptState()
  private var isWatched = false
  /// Whether libuv hands the descriptor to the kernel in the next poll, and it may have been closed by then.
  private var isFresh = false
  private var refusal: Int32 = 0
  /// The number is not the handle's to close: it is the caller's, or was closed behind it.
  private var isAnothers = false
  /// While it pauses.
  private var retry: TimerToken?

  /// The socket is the handle's from now on, also where this throws.
  init(_ socket: ListeningSocket, of listener: ListenerCore) throws(UVError) {
    self.socket = socket
    self.listener = listener
    do throws(UVError) {
      let loop = listener.loop
      try unsafe super.init(UV_POLL, "Listener", on: loop, isTakenOn: listener.group != nil) { uvLoop, memory in
        let handle = unsafe memory.bindMemory(to: uv_poll_t.self, capacity: 1)
        return loop.handles.afresh(socket.descriptor) { unsafe uv_poll_init(uvLoop, handle, socket.descriptor) }
      }
    } catch {
      socket.close()
      throw error
    }
  }

  private var uvPoll: UnsafeMutablePointer<uv_poll_t> { unsafe memory.assumingMemoryBound(to: uv_poll_t.self) }

  override var watchedDescriptor: Int32? { socket.descriptor }
  override var subject: String { " on \(socket.address)" }
  override var activeText: String { "accepting" }

  /// Connections that were lost before they could be taken.
  var lost: Int { accepting.failed }
  var backOffs: Int { accepting.backOffs }

  // MARK: - Watching

  /// Somebody waits for a connection.
  func watch() throws(UVError) {
    if isWatched || retry != nil || state.isClosed { return }
    try unsafe check(
      uv_poll_start(uvPoll, Int32(UV_READABLE.rawValue)) { handle, _, _ in
        // What is wrong with the socket `accept` says better than the poll.
        unsafe ListenerEngine.of(handle?.pointee.data)?.becameReadable()
      }, "Listener.accept")
    isWatched = true
    if socket.isAdopted {
      isFresh = true
      loop.handles.callBeforePoll(self)
    }
    activate()
  }

  private func unwatch() {
    if !isWatched { return }
    isWatched = false
    _ = unsafe uv_poll_stop(uvPoll)
    deactivate()
  }

  /// Where nobody waited at the end of a callback, and where libuv is about to hand the descriptor to epoll, which
  /// aborts the process if epoll refuses it.
  override func beforePoll() -> Bool {
    if state.isClosed { return false }
    if !listener.isWatching { unwatch() }
    if !isWatched || !isFresh { return false }
    isFresh = false
    refusal = unsafe Posix.refusal(toPoll: socket.descriptor, by: uv_backend_fd(loop.rawLoop.loop))
    if refusal == 0 { return false }
    unwatch()
    return true
  }

  override func afterPoll() {
    if refusal == 0 || state.isClosed { return }
    isAnothers = true
    socket.claim?.end()
    listener.fail(
      UVError(
        status: refusal, call: "Listener.accept",
        hint: "Descriptor \(socket.descriptor) was closed behind the listener. Close the listener and nothing else."))
  }

  // MARK: - Accepting

  private func becameReadable() {
    loop.counters.callbacks.add()
    perform(accepting.becameReadable())
  }

  private func perform(_ first: AcceptState.Action?) {
    var next = first
    while let action = next, !state.isClosed {
      switch action {
      case .accept: next = listener.claim() ? accept() : accepting.wasLeft()
      case .watch: return goOn()
      case .pause(let span): return pause(span)
      case .end(let status): return listener.fail(UVError(status: status, call: "Listener.accept"))
      }
    }
  }

  private func accept() -> AcceptState.Action? {
    var peer: SocketAddress?
    let status = unsafe Socket.accept(socket.descriptor) { unsafe peer = try? SocketAddress(unsafeBytes: $0) }
    let lost = accepting.failed
    let action = accepting.accepted(status)
    if status >= 0 {
      listener.give(status, peer, self)
    } else {
      listener.unclaim()
      listener.publish()
      if accepting.failed > lost { listener.service.fail(nil, UVError(status: status, call: "Listener.accept")) }
    }
    return action
  }

  private func goOn() {
    if !listener.isWatching { return loop.handles.callBeforePoll(self) }
    do throws(UVError) { try watch() } catch { listener.fail(error) }
  }

  /// Out of descriptors. The socket stays readable, and to watch it would use a CPU for nothing.
  private func pause(_ span: Duration) {
    unwatch()
    loop.counters.acceptBackOffs.add()
    retry = loop.timers.insert(.limit(self), at: loop.time.now(plus: span))
    loop.network.waitForDescriptor(self)
    listener.group?.waitForDescriptor(self)
    listener.publish()
  }

  /// The pause is over.
  func expire() {
    retry = nil
    perform(accepting.pauseEnded())
  }

  /// A stream of this loop, or another listener, has closed its descriptor.
  func descriptorCameFree() {
    endPause()
    perform(accepting.descriptorCameFree())
  }

  private func endPause() {
    if let retry { loop.timers.remove(retry) }
    retry = nil
  }

  func drop() { retry = nil }

  // MARK: - The end

  /// Closes the handle and leaves the socket open, which is the caller's from now on.
  func detachSocket() -> ListeningSocket {
    isAnothers = true
    close(by: .owner)
    return socket
  }

  override func willClose() {
    endPause()
    if isWatched { _ = unsafe uv_poll_stop(uvPoll) }
    isWatched = false
    // libuv would take the number out of the epoll set once more, whoever has it by then. And it is closed now, and not
    // with the handle, so that the address is free at once.
    unsafe clibuv_forget_descriptor(uvPoll)
    if !isAnothers { socket.close() }
    if case .loop? = state.closeReason { listener.quiesce() }
  }

  override func willFree() { loop.network.descriptorIsFree() }
}
