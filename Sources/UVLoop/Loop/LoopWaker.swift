import CLibUV
import Synchronization

// On Linux the loop is woken through an eventfd of its own under a `uv_poll_t`, elsewhere through a `uv_async_t`.
//
// Why not always `uv_async_t`: before libuv 1.45 the woken loop busy-waits while the sender is still inside
// `uv_async_send`, which costs tens of microseconds when both share a CPU; the call begins with an unordered read of
// its pending flag; and each wake walks every async handle of the loop. A counter that the kernel keeps until it is
// read has none of that.

#if os(Linux) && !UVLOOP_ASYNC_WAKE

  /// Ends the loop's wait from any thread.
  final class LoopWaker: Sendable {
    private let descriptor: Int32

    init() throws(UVError) {
      descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
      if descriptor < 0 {
        throw UVError(status: -Posix.errno, call: "EventLoop.init", hint: "eventfd failed; see `ulimit -n`.")
      }
    }

    /// Open for as long as anybody can hold the core: a late write must not hit somebody else's descriptor.
    deinit { Posix.close(descriptor) }

    /// Puts the waker under the loop's poll.
    func attach(to rawLoop: RawLoop) throws(UVError) {
      let descriptor = descriptor
      let poll = unsafe try rawLoop.open(UV_POLL, as: uv_poll_t.self, "uv_poll_init", isWaker: true) { uvLoop, poll in
        unsafe uv_poll_init(uvLoop, poll, descriptor)
      }
      unsafe try check(
        uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { handle, _, _ in
          // A level-triggered descriptor stays readable until it is read. The number read counts writes and carries
          // no data: what was posted is in the inbox, which the loop takes after every poll.
          var count: UInt64 = 0
          var descriptor: Int32 = -1
          let status = unsafe uv_fileno(
            UnsafeRawPointer(handle)?.assumingMemoryBound(to: uv_handle_t.self), &descriptor)
          if status == 0 { _ = unsafe read(descriptor, &count, 8) }
        }, "uv_poll_start")
    }

    /// Nothing to detach: the descriptor outlives the poll, and a write that nobody reads is harmless.
    func detach() {}

    func signal() {
      let saved = Posix.errno
      var one: UInt64 = 1
      // EAGAIN means that the counter is full, so that a wake is pending anyway. Nothing else can fail here.
      while unsafe write(descriptor, &one, 8) < 0 && Posix.errno == EINTR {}
      Posix.errno = saved
    }
  }

#else

  /// Ends the loop's wait from any thread.
  @safe final class LoopWaker: @unchecked Sendable {  // Holds because `lock` guards `handle`.
    private let lock = Lock()
    private var handle: UnsafeMutablePointer<uv_async_t>?

    init() throws(UVError) {}

    func attach(to rawLoop: RawLoop) throws(UVError) {
      unsafe handle = try rawLoop.open(UV_ASYNC, as: uv_async_t.self, "uv_async_init", isWaker: true) {
        loop, async in
        unsafe uv_async_init(loop, async, nil)
      }
    }

    /// Before the loop closes: later signals go nowhere.
    func detach() { lock.withLock { unsafe handle = nil } }

    /// Sends under a lock, because `uv_async_send` touches handle and loop after its flag is set, and aborts the
    /// process when the loop has closed meanwhile.
    func signal() {
      lock.withLock { if let handle = unsafe handle { _ = unsafe uv_async_send(handle) } }
    }
  }

#endif
