import CLibUV
import Synchronization

/// A `uv_async_t`: any thread, also a signal handler, makes the loop call back.
///
/// ```swift
/// let wake = try AsyncHandle { print("woken") }
/// // Sendable: give it to threads and to C libraries.
/// let sender = wake.sender
/// sender.send()
/// ```
///
/// Sends coalesce: any number of them before the callback begins give one callback, one that is made after it began
/// gives another. A send carries no data; to hand something over use `post`.
///
/// > Isolation: Created and used on its loop only; nothing else compiles. Only ``Sender`` leaves it.
///
/// > Ownership: Open until `close`, shutdown, or until the last of handle and senders is gone. The loop keeps the
/// callback until then; if it captures the handle, `close` ends that.
///
/// After `close` sends are false. It closes once no thread is inside `send`.
///
/// > libuv: `uv_async_t`, `uv_async_init`. Each wake walks all async handles of its loop (`async.c`).
public final class AsyncHandle: LoopHandle {
  /// The way to the loop for other threads. It can be copied at will: all copies reach this handle.
  public let sender: Sender

  /// An open handle that calls `callback` on the loop after a send.
  ///
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(isolation: isolated any LoopActor = #isolation, _ callback: @escaping () -> Void) throws(UVError) {
    let async = try Async(on: isolation.core(for: "AsyncHandle.init"), callback)
    sender = Sender(lease: Lease(async))
    super.init(async)
  }
}

extension AsyncHandle {
  // MARK: On any thread

  /// Makes the loop call back, from any thread.
  ///
  /// Make the sender before installing the signal handler that uses it: to send from there is allowed, to create one is
  /// not.
  public struct Sender: Sendable {
    fileprivate let lease: Lease

    /// Asks for a callback; true if it will come, unless the handle is closed before.
    ///
    /// False once the handle is closed, by whomever, after shutdown, and in the child of a fork. Never blocks, takes no
    /// lock, allocates nothing, and leaves `errno` as it was.
    ///
    /// - Complexity: O(1). The loop then looks at all of its n async handles, O(n) for each wake.
    ///
    /// > Isolation: Call it from any thread and from signal handlers.
    ///
    /// > libuv: `uv_async_send`.
    @discardableResult
    public func send() -> Bool { lease.sendGuard.send() }
  }

  /// Held by the handle and by all its senders: when it goes the last of them has gone.
  fileprivate final class Lease: @unchecked Sendable {  // Holds because `async` is used on its loop only, by `detach`.
    let sendGuard: SendGuard
    private let async: Async

    init(_ async: Async) {
      sendGuard = async.sendGuard
      self.async = async
    }

    deinit { async.detach() }
  }
}

/// Lets senders in while the handle is open, and tells when the last one is out.
///
/// One word: the top bit says closed, the rest counts the senders inside. `uv_async_send` touches the handle after the
/// loop may already have been woken by it, so that the memory must outlive every sender inside; a test of *closed*
/// apart from the count would leave a gap.
// Holds because the pointer goes to nothing but `uv_async_send`, which any thread may call.
@safe private final class SendGuard: @unchecked Sendable {
  private let word = Atomic<UInt>(0)
  private let async: UnsafeMutablePointer<uv_async_t>
  private let generation = ProcessGeneration.current
  private static let closed: UInt = 1 << 63

  init(_ async: UnsafeMutablePointer<uv_async_t>) { unsafe self.async = async }

  // MARK: On any thread

  func send() -> Bool {
    // In the child of a fork the loop is the parent's, and so is the descriptor that a send would write to.
    if generation != ProcessGeneration.current { return false }
    // Sequentially consistent: `uv_async_send` begins with a plain read of its flag, which nothing else keeps behind
    // what the caller has stored before.
    let isOpen = word.add(1, ordering: .sequentiallyConsistent).oldValue & SendGuard.closed == 0
    if isOpen {
      let saved = Posix.errno
      _ = unsafe uv_async_send(async)
      Posix.errno = saved
    }
    word.subtract(1, ordering: .acquiringAndReleasing)
    return isOpen
  }

  // MARK: On the loop

  func close() { word.bitwiseOr(SendGuard.closed, ordering: .acquiringAndReleasing) }

  /// A sender is inside for a few hundred nanoseconds, unless its thread lost the CPU: then it gets this one.
  func waitUntilEmpty() {
    while word.load(ordering: .acquiring) != SendGuard.closed { Posix.yield() }
  }
}

/// Belongs to the loop's thread.
@safe private final class Async: Handle {
  private(set) lazy var sendGuard = unsafe SendGuard(memory.assumingMemoryBound(to: uv_async_t.self))

  init(on loop: LoopCore, _ callback: @escaping () -> Void) throws(UVError) {
    try unsafe super.init(UV_ASYNC, "AsyncHandle", on: loop, calling: callback) { uvLoop, memory in
      unsafe uv_async_init(uvLoop, memory.bindMemory(to: uv_async_t.self, capacity: 1)) { handle in
        unsafe Async.of(handle?.pointee.data)?.call()
      }
    }
  }

  override func willClose() { sendGuard.close() }

  override func willFree() { sendGuard.waitUntilEmpty() }

  /// The last of handle and senders tells, by their lease.
  override func wrapperIsGone() {}

  override var activeText: String { "open" }

  /// It needs no start.
  override var mayCall: Bool { !state.isClosed }
}
