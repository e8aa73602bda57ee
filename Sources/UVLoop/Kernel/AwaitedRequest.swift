import CLibUV

/// A request that a task awaits, and what libuv reads and writes for it.
///
/// A task that is cancelled goes on at once. libuv is asked to take the request out of the pool's queue; if it has
/// begun it goes on, its buffers are kept until its callback, and what it brings late is handed to `unwanted`.
@safe final class AwaitedRequest: PendingRequest, WaitOwner, @unchecked Sendable {  // Holds as for all requests.
  typealias Start = @Sendable (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> Int32

  private var wait: LoopWait?
  private let buffers: (any AnyObject & Sendable)?
  private let unwanted: (@Sendable (Int32) -> Void)?
  private let isAbandonable: Bool
  private let start: Start

  init(
    _ kind: RequestKind, _ type: uv_req_type, on loop: LoopCore, keeping buffers: (any AnyObject & Sendable)?,
    isAbandonable: Bool, unwanted: (@Sendable (Int32) -> Void)?, _ start: @escaping Start
  ) {
    self.buffers = buffers
    self.isAbandonable = isAbandonable
    self.unwanted = unwanted
    unsafe self.start = start
    super.init(kind, type, on: loop)
  }

  // MARK: On the loop

  /// The wait's number is libuv's status.
  func begin(_ wait: LoopWait) {
    // A process that exits begins nothing any more: the wait lasts until its end, or the loop's.
    if !ExitGuard.enter() { return loop.waits.add(wait) }
    defer { ExitGuard.leave() }
    let status = unsafe submit(start)
    if status < 0 { wait.resume(returning: Int64(status)) } else { self.wait = wait }
  }

  func withdraw(_ wait: LoopWait) {
    self.wait = nil
    if isAbandonable { stopAwaiting() }
    cancel()
  }

  override func ended(_ status: Int32) {
    if let wait = wait.take(), wait.resume(returning: Int64(status)) { return }
    if status >= 0 { unwanted?(status) }
  }

  /// A shutdown ends the wait with `loopClosed`, and asks libuv to take the request out of the queue.
  override func releaseWaits() {
    wait?.endClosed()
    if !isAbandonable { return }
    wait = nil
    stopAwaiting()
  }
}

extension AwaitedRequest {
  // MARK: On any thread

  /// Submits a request and waits for its callback; see above.
  ///
  /// - Parameters:
  ///   - call: What the user called, for errors.
  ///   - buffers: What owns the memory that libuv reads and writes; kept until the callback.
  ///   - isAbandonable: Whether a shutdown leaves it behind, where nobody waits for it any more and it cannot be
  ///     cancelled: a look-up of a name, say, which leaves nothing open.
  ///   - unwanted: What becomes of a result that comes when nobody waits any more: a descriptor is closed, say.
  ///   - start: Calls libuv on the loop's thread, with a callback that calls `PendingRequest.finish`.
  /// - Returns: The status, zero or more.
  static func status(
    of kind: RequestKind, _ type: uv_req_type, on loop: LoopCore, _ call: StaticString,
    keeping buffers: (any AnyObject & Sendable)? = nil,
    isAbandonable: Bool = false, isolation: isolated (any Actor)? = #isolation,
    unwanted: (@Sendable (Int32) -> Void)? = nil,
    _ start: @escaping AwaitedRequest.Start
  ) async throws -> Int32 {
    let request = unsafe AwaitedRequest(
      kind, type, on: loop, keeping: buffers, isAbandonable: isAbandonable, unwanted: unwanted, start)
    let status = Int32(try await LoopWait(.request, on: loop, owner: request).value("\(call)"))
    try check(status, "\(call)")
    return status
  }
}
