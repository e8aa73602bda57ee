import CLibUV
import Synchronization

// idle ──submit──▶ in flight ──libuv's callback──▶ idle
//                     │  ▲
//                     └──┘ cancel: only asks; the callback still comes, and is the only end
//
// Who owns what while it is in flight:
//   the memory of the request, and what it reads and writes   this object
//   this object                                               libuv, until its callback; the loop's list too

/// What a request is for, in reports and snapshots. Each use has one, in its own file.
struct RequestKind: RawRepresentable, Hashable, Sendable {
  let rawValue: String
}

/// The life of one libuv request, written once for all kinds. Belongs to the loop's thread, but any thread may make it,
/// and let go of it.
///
/// Requests are never closed: the memory is ours again in the callback, which always comes, also after a cancel. A
/// request belongs to the operation that asked for it, and not to a handle: of one handle several may be in flight.
/// What libuv reads or writes meanwhile is kept by a kind, which derives from this.
@safe class PendingRequest: LoopMember, @unchecked Sendable {  // Holds because it belongs to the loop's thread.
  final let loop: LoopCore
  final let kind: RequestKind
  private final let memory: UnsafeMutableRawPointer
  private final let usesPool: Bool
  final private(set) var isInFlight = false
  /// When it was submitted, in nanoseconds of the monotonic clock.
  final private(set) var since: Int64 = 0
  /// Where it stands among the loop's requests, which keep this number.
  final var index = -1
  /// Atomic, since a snapshot asks for it from outside.
  private final let awaited: Atomic<Bool>

  /// - Parameter isAwaited: Whether a shutdown waits for its end. If not, the loop's thread stays behind for it.
  init(_ kind: RequestKind, _ type: uv_req_type, on loop: LoopCore, isAwaited: Bool = true) {
    awaited = Atomic(isAwaited)
    self.loop = loop
    self.kind = kind
    unsafe memory = .allocate(byteCount: uv_req_size(type), alignment: 16)
    usesPool = ![UV_CONNECT, UV_WRITE, UV_SHUTDOWN, UV_UDP_SEND].contains(type)
  }

  deinit {
    // The callback comes first, since a request in flight is kept.
    if isInFlight { fatalError("UVLoop: the memory of a request was about to be freed while libuv uses it.") }
    unsafe memory.deallocate()
  }

  /// Lets `start` submit it. Where libuv refuses, with a status below zero, there is no callback.
  ///
  /// The callback hands the request's `data`, and its status, to ``finish(_:_:)``.
  final func submit(_ start: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> Int32) -> Int32 {
    unsafe memory.assumingMemoryBound(to: uv_req_t.self).pointee.data = Unmanaged.passUnretained(self).toOpaque()
    let status =
      usesPool
      ? PoolStart.around { unsafe start(loop.rawLoop.loop, memory) }
      : unsafe start(loop.rawLoop.loop, memory)
    if status < 0 { return status }
    isInFlight = true
    since = MonotonicClock.now()
    loop.requests.add(self)
    return status
  }

  /// Asks libuv to take it out of the pool's queue. One that has begun goes on, and so does one that is not the pool's.
  final func cancel() {
    // When the process exits the pool runs what is queued, so that the callback comes then too.
    if !isInFlight || !ExitGuard.enter() { return }
    defer { ExitGuard.leave() }
    _ = unsafe uv_cancel(memory.assumingMemoryBound(to: uv_req_t.self))
  }

  /// In libuv's callback, once: the memory is ours again.
  static func finish(_ data: UnsafeMutableRawPointer?, _ status: Int32) {
    guard let request = unsafe of(data) else { return }
    request.isInFlight = false
    request.loop.requests.remove(request)
    request.ended(status)
  }

  /// Finds the object again, also in a callback that comes before the last. The list keeps it.
  static func of(_ data: UnsafeMutableRawPointer?) -> Self? {
    guard let data = unsafe data else { return nil }
    return unsafe Unmanaged<Self>.fromOpaque(data).takeUnretainedValue()
  }

  /// Nobody needs its end any more.
  final func stopAwaiting() { awaited.store(false, ordering: .relaxed) }

  /// On any thread: whether a shutdown waits for its end.
  final var isAwaited: Bool { awaited.load(ordering: .relaxed) }

  // What a kind adds.

  /// The callback came. It may be submitted again here.
  func ended(_ status: Int32) {}
  /// Shutdown, first part: whoever waits for it goes on with `loopClosed`.
  func releaseWaits() {}
}
