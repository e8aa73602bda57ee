/// One write that could not be done at once, or the end of the writing. Belongs to the loop's thread, but any thread
/// may make one.
@safe final class StreamWrite: WaitOwner, @unchecked Sendable {  // Holds because of the lines above.
  let name: StaticString
  let isEnd: Bool
  /// It is done, and its task only lets the loop go round.
  private let isYield: Bool
  private var parts: [[UInt8]]
  private let total: Int
  /// What takes the first byte of it in place of the transport, and sends a descriptor along.
  private(set) var courier: StreamCourier?
  private let writer: StreamWriter
  private var wait: LoopWait?
  /// When that began, in nanoseconds of the loop's time.
  private(set) var since: Int64 = 0
  private var onEnd: ((UVError?) -> Void)?
  private var result: UVError??
  /// How much has gone.
  private(set) var sent = 0
  /// The first part of which not all has gone, and how much of it.
  private var part = 0
  private var offset = 0
  /// Whether what comes next has been tried just now, and the kernel took none of it, or no more.
  private(set) var isTried: Bool
  /// Its caller has gone, and no more of it is to be sent.
  private(set) var isCut = false
  /// Its caller has gone before any of it was sent, and none will be.
  private(set) var isWithdrawn = false

  // MARK: On any thread

  /// - Parameter sent: How much its caller has sent; the rest of a write that was not tried waits behind others.
  init(
    _ name: StaticString, _ parts: [[UInt8]], sent: Int = 0, isTried: Bool, by courier: StreamCourier? = nil,
    of writer: StreamWriter
  ) {
    self.name = name
    self.courier = courier
    self.parts = parts
    self.isTried = isTried
    self.writer = writer
    total = parts.reduce(0) { $0 + $1.count }
    isEnd = false
    isYield = false
    advance(sent)
  }

  /// The end behind all writes.
  init(endOf writer: StreamWriter, _ name: StaticString, onEnd: ((UVError?) -> Void)? = nil) {
    self.name = name
    self.writer = writer
    self.onEnd = onEnd
    parts = []
    total = 0
    isTried = true
    isEnd = true
    isYield = false
  }

  /// For a task that has never had to wait.
  init(yieldOf writer: StreamWriter, _ name: StaticString) {
    self.name = name
    self.writer = writer
    parts = []
    total = 0
    isTried = true
    isEnd = false
    isYield = true
  }

  /// Whether its stream takes no more.
  var isRefused: Bool { writer.isRefusing }

  // MARK: On the loop

  /// Puts it behind the others of its stream. Its bytes count as queued already.
  func queue() { writer.append(self) }

  var rest: Int { total - sent }

  /// So much more of it has gone.
  func advance(_ count: Int) {
    if count > 0 { dismissCourier() }
    sent += count
    offset += count
    while part < parts.count, offset >= parts[part].count {
      offset -= parts[part].count
      part += 1
    }
  }

  /// Others have had their turn: it may be tried again.
  func tryAgain() { isTried = false }

  /// No more of it is sent behind the slice that is under way.
  func cut() { isCut = true }

  /// None of it has been sent, and none will be.
  func noteWithdrawn() { isWithdrawn = true }

  /// Nothing of it is needed any more.
  func letGo() {
    parts = []
    dismissCourier()
  }

  private func dismissCourier() { courier.take()?.close() }

  var isAwaited: Bool { wait != nil }

  /// Whether somebody wants to know of its end who does not wait.
  var isWatched: Bool { onEnd != nil }

  /// Calls `body` at its end too.
  func whenEnded(_ body: @escaping (UVError?) -> Void) {
    let earlier = onEnd
    onEnd = {
      earlier?($0)
      body($0)
    }
  }

  /// Waits for its end; it has been added before.
  func value(on loop: LoopCore) async throws {
    do {
      try await LoopWait(.write, on: loop, owner: self).value(writer.call(name))
    } catch {
      // Cancelled before the wait began, the loop is not told.
      if loop.isCurrent { give(up: nil) }
      throw error
    }
  }

  func begin(_ wait: LoopWait) {
    if isYield { return wait.resumeLater() }
    switch result {
    case .none:
      self.wait = wait
      since = writer.waitBegins()
    case .some(.none): wait.resume()
    case .some(.some(let error)): wait.resume(throwing: error)
    }
  }

  func withdraw(_ wait: LoopWait) { give(up: wait) }

  private func give(up wait: LoopWait?) {
    self.wait = nil
    if result == nil && !isYield { writer.callerIsGone(self) }
  }

  /// A shutdown ends the wait.
  func release() { wait?.endClosed() }

  func end(_ error: UVError?) {
    onEnd.take()?(error)
    if result != nil { return }
    result = .some(error)
    guard let wait = wait.take() else { return }
    if let error { wait.resume(throwing: error) } else { wait.resumeNow() }
  }

  /// What comes next, at most so much of it, copied: an array has no address that lasts.
  func slice(_ limit: Int) -> RequestBuffer {
    let buffer = RequestBuffer(count: min(limit, rest))
    var filled = 0
    unsafe visitRest { bytes in
      let count = min(bytes.count, buffer.count - filled)
      if count == 0 { return false }
      unsafe (buffer.start + filled).copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: count)
      filled += count
      return true
    }
    return buffer
  }

  private func visitRest(_ body: (UnsafeRawBufferPointer) -> Bool) {
    var skip = offset
    for part in parts[part...] where !part.isEmpty {
      let goesOn = unsafe part.withUnsafeBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[skip...])) }
      if !goesOn { return }
      skip = 0
    }
  }

  /// Shows what comes next, without a copy.
  func withRest<R, E>(_ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(E) -> R) throws(E) -> R {
    try unsafe parts.withPointers(from: part, offset, body)
  }
}

extension [[UInt8]] {
  /// As many as one system call takes (IOV_MAX).
  private static var mostPointers: Int { 1_024 }

  /// Lends them at the same time, from one on, and that without its first bytes.
  func withPointers<R, E>(
    from index: Int = 0, _ offset: Int = 0, _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(E) -> R
  ) throws(E) -> R {
    var pointers: [UnsafeRawBufferPointer] = unsafe []
    return try unsafe collect(index, offset, &pointers, body)
  }

  private func collect<R, E>(
    _ index: Int, _ skip: Int, _ pointers: inout [UnsafeRawBufferPointer],
    _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(E) -> R
  ) throws(E) -> R {
    var index = index
    while index < count, self[index].isEmpty { index += 1 }
    if unsafe index == count || pointers.count == Self.mostPointers {
      return try unsafe pointers.withUnsafeBufferPointer { (pointers) throws(E) -> R in try unsafe body(pointers) }
    }
    let part = self[index]
    return try unsafe part.span.bytes.withUnsafeBytes { (bytes) throws(E) -> R in
      unsafe pointers.append(UnsafeRawBufferPointer(rebasing: bytes[skip...]))
      return try unsafe collect(index + 1, 0, &pointers, body)
    }
  }
}
