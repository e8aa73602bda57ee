import CLibUV

/// A request that a task awaits, and what libuv reads and writes for it.
///
/// A task that is cancelled goes on at once. libuv is asked to take the request out of the pool's queue; if it has begun it
/// goes on, its buffers are kept until its callback, and what it brings late is handed to `unwanted`.
final class AwaitedRequest: PendingRequest, @unchecked Sendable {  // Holds as for all requests.
  private var wait: LoopWait<RequestEnd>?
  private let buffers: (any AnyObject & Sendable)?
  private let unwanted: (@Sendable (Int32) -> Void)?

  init(
    _ kind: RequestKind, _ type: uv_req_type, on core: LoopCore, keeping buffers: (any AnyObject & Sendable)?,
    unwanted: (@Sendable (Int32) -> Void)?
  ) {
    self.buffers = buffers
    self.unwanted = unwanted
    super.init(kind, type, on: core)
  }

  func begin(
    _ wait: LoopWait<RequestEnd>, _ start: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> Int32
  ) {
    // A process that exits begins nothing any more: the wait lasts until its end, or the loop's.
    if !ExitGate.enter() { return core.waits.add(wait) }
    defer { ExitGate.leave() }
    let status = unsafe submit(start)
    if status < 0 { wait.resume(returning: status) } else { self.wait = wait }
  }

  func withdraw() {
    wait = nil
    cancel()
  }

  override func ended(_ status: Int32) {
    if let wait = wait.take(), wait.resume(returning: status) { return }
    if status >= 0 { unwanted?(status) }
  }

  /// A shutdown ends the wait with `loopClosed`, and asks libuv to take the request out of the queue.
  override func releaseWaits() { wait?.close() }
}

/// The callback of a request, for the task that awaits it. Gives libuv's status.
@safe struct RequestEnd: WaitSource {
  typealias Value = Int32

  let request: AwaitedRequest
  let start: @Sendable (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> Int32

  func begin(_ wait: LoopWait<RequestEnd>) { unsafe request.begin(wait, start) }

  func withdraw(_ wait: LoopWait<RequestEnd>) { request.withdraw() }
}

extension LoopCore {
  /// Submits a request and waits for its callback; see ``AwaitedRequest``. May be called anywhere.
  ///
  /// - Parameters:
  ///   - call: What the user called, for errors.
  ///   - buffers: What owns the memory that libuv reads and writes; kept until the callback.
  ///   - unwanted: What becomes of a result that comes when nobody waits any more: a descriptor is closed, say.
  ///   - start: Calls libuv on the loop's thread, with a callback that calls `PendingRequest.finish`.
  /// - Returns: The status, zero or more.
  func request(
    _ kind: RequestKind, _ type: uv_req_type, _ call: StaticString, keeping buffers: (any AnyObject & Sendable)? = nil,
    isolation: isolated (any Actor)? = #isolation, unwanted: (@Sendable (Int32) -> Void)? = nil,
    _ start: @escaping @Sendable (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> Int32
  ) async throws -> Int32 {
    let request = AwaitedRequest(kind, type, on: self, keeping: buffers, unwanted: unwanted)
    let wait = unsafe LoopWait(.request, for: RequestEnd(request: request, start: start), on: self)
    let status = try await wait.value("\(call)")
    try check(status, "\(call)")
    return status
  }
}
