/// One write that could not be done at once, or the end of the writing. Belongs to the loop's thread.
@safe final class StreamWrite: WaitOwner, @unchecked Sendable {  // Holds because of the line above.
  let name: StaticString
  let isEnd: Bool
  /// It is done, and its task only lets the loop go round.
  private let isTurn: Bool
  private let parts: [[UInt8]]
  private let total: Int
  private let writer: StreamWriter
  private var wait: LoopWait?
  private var onEnd: ((UVError?) -> Void)?
  private var result: UVError??
  /// How much has gone.
  var sent: Int
  /// How much of the rest the transport has.
  var slicing = 0
  /// Whether what comes next has been tried just now, and the kernel took none of it, or no more.
  var isTried: Bool
  /// Its caller has gone, and no more of it is to be sent.
  var isCut = false

  /// - Parameter sent: How much its caller has sent; the rest of a write that was not tried waits behind others.
  init(_ name: StaticString, _ parts: [[UInt8]], sent: Int = 0, isTried: Bool, of writer: StreamWriter) {
    self.name = name
    self.parts = parts
    self.sent = sent
    self.isTried = isTried
    self.writer = writer
    total = parts.reduce(0) { $0 + $1.count }
    isEnd = false
    isTurn = false
  }

  /// The end behind all writes.
  init(endOf writer: StreamWriter, _ name: StaticString, onEnd: ((UVError?) -> Void)? = nil) {
    self.name = name
    self.writer = writer
    self.onEnd = onEnd
    parts = []
    total = 0
    sent = 0
    isTried = true
    isEnd = true
    isTurn = false
  }

  /// For a task that has never had to wait.
  init(turnOf writer: StreamWriter, _ name: StaticString) {
    self.name = name
    self.writer = writer
    parts = []
    total = 0
    sent = 0
    isTried = true
    isEnd = false
    isTurn = true
  }

  var rest: Int { total - sent }

  var isAwaited: Bool { wait != nil }

  /// Waits for its end; it has been added before.
  func value(on core: LoopCore) async throws {
    do {
      try await LoopWait(.write, on: core, owner: self).value(writer.call(name))
    } catch {
      // Cancelled before the wait began, the loop is not told.
      if core.isCurrent { give(up: nil) }
      throw error
    }
  }

  func begin(_ wait: LoopWait) {
    if isTurn { return wait.resumeLater() }
    switch result {
    case .none: self.wait = wait
    case .some(.none): wait.resume()
    case .some(.some(let error)): wait.resume(throwing: error)
    }
  }

  func withdraw(_ wait: LoopWait) { give(up: wait) }

  private func give(up wait: LoopWait?) {
    self.wait = nil
    if result == nil && !isTurn { writer.abandon(self) }
  }

  /// A shutdown ends the wait.
  func release() { wait?.close() }

  func end(_ error: UVError?) {
    if result != nil { return }
    result = .some(error)
    onEnd.take()?(error)
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
    var skip = sent
    for part in parts {
      if skip >= part.count {
        skip -= part.count
        continue
      }
      let goesOn = unsafe part.withUnsafeBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[skip...])) }
      if !goesOn { return }
      skip = 0
    }
  }

  /// Shows what comes next, without a copy.
  func withRest<R, E>(_ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(E) -> R) throws(E) -> R {
    try unsafe parts.withPointers(from: sent, body)
  }
}

extension [[UInt8]] {
  /// As many as one system call takes (IOV_MAX).
  private static var mostPointers: Int { 1_024 }

  /// Lends all of them at the same time, without the first bytes.
  func withPointers<R, E>(
    from start: Int = 0, _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(E) -> R
  ) throws(E) -> R {
    var pointers: [UnsafeRawBufferPointer] = unsafe []
    return try unsafe collect(0, start, &pointers, body)
  }

  private func collect<R, E>(
    _ index: Int, _ skip: Int, _ pointers: inout [UnsafeRawBufferPointer],
    _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(E) -> R
  ) throws(E) -> R {
    if unsafe index == count || pointers.count == Self.mostPointers {
      return try unsafe pointers.withUnsafeBufferPointer { (pointers) throws(E) -> R in try unsafe body(pointers) }
    }
    let part = self[index]
    if skip >= part.count { return try unsafe collect(index + 1, skip - part.count, &pointers, body) }
    return try unsafe part.span.bytes.withUnsafeBytes { (bytes) throws(E) -> R in
      unsafe pointers.append(UnsafeRawBufferPointer(rebasing: bytes[skip...]))
      return try unsafe collect(index + 1, 0, &pointers, body)
    }
  }
}
