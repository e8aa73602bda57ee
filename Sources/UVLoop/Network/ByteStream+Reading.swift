extension ByteStream {
  /// Waits for the next bytes, and returns as many as are there.
  ///
  /// What the stream holds itself comes first: what was given back with ``unread(_:isolation:)``, then what was read
  /// ahead for a line or a frame. It never waits while there is such a byte.
  ///
  /// - Parameter limit: How many bytes at most; others stay for the next read. What a read gives by itself is never
  ///   more than a write sends whole.
  /// - Returns: At least one byte, in an array of its own; nil at the end, and again whenever you ask.
  /// - Throws: ``UVError/Code/invalidArgument`` for a limit of zero or less; ``UVError/Code/busy`` while somebody else
  ///   reads; ``UVError/Code/timedOut`` if no byte has come for as long as ``timeouts-swift.property`` allow, after
  ///   which you may read again; ``UVError/Code/connectionReset`` and other codes of the system, after all bytes that
  ///   came before, and again whenever you ask; ``UVError/Code/handleClosed`` when the stream is closed here, or was;
  ///   ``UVError/Code/loopClosed`` when the loop shuts down, or has; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait. No byte is lost: the next read begins where this one stood. In a task that is
  /// cancelled already it throws even if bytes are there, and they stay.
  ///
  /// > libuv: `uv_read_start`, which stays in force between two reads.
  public final func read(upTo limit: Int = 65_536) async throws -> [UInt8]? {
    if inner.loop.isAtHome { return try await inner.readArray(limit) }
    return try await inner.elsewhere("read") { [inner] _ in try await inner.readArray(limit) }
  }

  /// Waits for the next bytes, and lends them to `body` without a copy.
  ///
  /// ```swift
  /// var sum = 0
  /// while let part = try await stream.read({ bytes in bytes.byteCount }) { sum += part }
  /// ```
  ///
  /// `body` runs in the caller's isolation, once, as soon as bytes are there. Everything that it was lent counts as
  /// read, also if it throws. A call from elsewhere than the loop copies them once.
  ///
  /// - Parameters:
  ///   - limit: How many bytes at most; what lies beyond stays for the next read. The kernel is asked for 131,072 at a
  ///     time, which is the fastest for large amounts.
  ///   - body: Gets at least one byte, and cannot keep the span.
  /// - Returns: What `body` returns; nil at the end, where it is not called.
  /// - Throws: What `body` throws, and what ``read(upTo:)`` throws.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: As for ``read(upTo:)``. Once `body` runs nothing interrupts it.
  ///
  /// > Ownership: The bytes lie in a block that all streams of the loop share, and are valid until `body` returns.
  ///
  /// > libuv: `uv_read_start`.
  @inlinable
  public final func read<R, E: Error>(
    upTo limit: Int = 131_072, _ body: (RawSpan) throws(E) -> R
  ) async throws -> R? {
    // Here only what depends on the types of the caller: a generic function of another module is not made for them.
    guard let bytes = try await lend(upTo: limit) else { return nil }
    return try bytes.use(body)
  }

  /// The next bytes, which are used before the next `await`; nil at the end.
  @usableFromInline
  final func lend(upTo limit: Int) async throws -> LentBytes? {
    if inner.loop.isAtHome {
      try inner.requirePositive(limit, "read")
      if try await !inner.reader.waitForBytes(limit, "read") { return nil }
      return inner.reader.lend(limit)
    }
    let bytes = try await inner.elsewhere("read") { [inner] _ in try await inner.readArray(limit) }
    return bytes.map { LentBytes($0, 0..<$0.count) }
  }

  /// Waits for the next bytes, and appends as many as are there to `buffer`.
  ///
  /// For a loop that allocates nothing: `removeAll(keepingCapacity: true)` before the next read makes use of the room
  /// again.
  ///
  /// - Parameters:
  ///   - buffer: What it holds stays; on an error nothing is appended.
  ///   - limit: How many bytes to append at most.
  /// - Returns: How many were appended; 0 at the end.
  /// - Throws: As ``read(upTo:)`` does.
  ///
  /// > Isolation: Call it anywhere. Elsewhere than on the loop it takes one array more.
  ///
  /// > Cancellation: As for ``read(upTo:)``.
  ///
  /// > libuv: `uv_read_start`.
  @discardableResult
  public final func read(into buffer: inout [UInt8], upTo limit: Int = 65_536) async throws -> Int {
    if inner.loop.isAtHome {
      try inner.requirePositive(limit, "read")
      if try await !inner.reader.waitForBytes(limit, "read") { return 0 }
      return inner.reader.append(to: &buffer, limit)
    }
    let bytes = try await inner.elsewhere("read") { [inner] _ in try await inner.readArray(limit) } ?? []
    buffer += bytes
    return bytes.count
  }

  /// Appends the bytes that are there now, without waiting.
  ///
  /// Takes what the stream holds itself, or else asks the kernel once.
  ///
  /// - Returns: How many bytes were appended; 0 at the end; nil if there are none now.
  /// - Throws: ``UVError/Code/invalidArgument`` for a limit of zero or less; ``UVError/Code/busy`` while somebody else
  ///   reads; ``UVError/Code/notSupported`` if the stream cannot read without a wait; the system's code, and again
  ///   whenever you ask; ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > Cancellation: Does not look at it.
  ///
  /// > libuv: None. It calls `read(2)`.
  public final func tryRead(
    into buffer: inout [UInt8], upTo limit: Int = 65_536, isolation: isolated any LoopActor = #isolation
  ) throws(UVError) -> Int? {
    try inner.requireOnLoop("tryRead")
    return try inner.tryRead(into: &buffer, limit)
  }

  /// Gives bytes back: they come first in the next read, before all others, also behind the end.
  ///
  /// Whoever waits for bytes gets them, by ``startReading(isolation:_:atEnd:)`` too.
  ///
  /// - Parameters:
  ///   - bytes: Any, whether they came from this stream or not. ``bytesRead`` does not count them.
  ///   - isolation: The loop's own isolation; leave it out.
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  public final func unread(_ bytes: [UInt8], isolation: isolated any LoopActor = #isolation) throws(UVError) {
    try inner.requireOnLoop("unread")
    try inner.reader.requireOpen("unread")
    inner.reader.unread(bytes)
  }

  /// Takes out what the stream holds itself: bytes that were given back, or read ahead for a line or a frame.
  ///
  /// For handing a connection on: what has been read belongs to whoever gets the descriptor from ``detach()``, or to
  /// the protocol that the connection changes to.
  ///
  /// - Returns: The bytes in their order, or an empty array.
  /// - Throws: ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  public final func takeBuffered(isolation: isolated any LoopActor = #isolation) throws(UVError) -> [UInt8] {
    try inner.requireOnLoop("takeBuffered")
    return inner.reader.takeAll()
  }

  /// Reads by callbacks: calls `body` with whatever comes, on the loop, until the end.
  ///
  /// No task waits, so that it costs less than a loop of reads. Nothing holds the peer back either: what must not come
  /// faster than it is used belongs in a loop of reads. What the stream holds itself comes first. Neither closure is
  /// called within this call. ``Timeouts-swift.struct/read`` is for reads that wait.
  ///
  /// - Parameters:
  ///   - isolation: The loop's own isolation; leave it out.
  ///   - body: Gets each piece as it comes, at least one byte, and cannot keep the span. It may close the stream, stop
  ///     the reading, or write.
  ///   - end: Called once: with nil when the peer has ended its side, or with what went wrong. Not called after
  ///     ``stopReading(isolation:)``, and not when the stream is closed here or by the loop's shutdown.
  /// - Throws: ``UVError/Code/busy`` while somebody reads, by callbacks too; ``UVError/Code/handleClosed``;
  ///   ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``; the system's code.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > Ownership: Both closures are released at the end, at ``stopReading(isolation:)`` and when the stream closes.
  /// They do not keep the stream: somebody has to, or it closes.
  ///
  /// > libuv: `uv_read_start`.
  public final func startReading(
    isolation: isolated any LoopActor = #isolation, _ body: @escaping (RawSpan) -> Void,
    atEnd end: @escaping (UVError?) -> Void
  ) throws(UVError) {
    try inner.requireOnLoop("startReading")
    try inner.reader.requireAlone("startReading")
    try inner.reader.start(StreamCallbacks(inner.loop, inner.typeName, inner.addresses, body, atEnd: end))
  }

  /// Ends the reading by callbacks, and releases them. What comes from now on stays in the kernel.
  ///
  /// Where nothing reads by callbacks, and on another loop, it does nothing. ``startReading(isolation:_:atEnd:)`` may
  /// be called again.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_read_stop`, before the loop polls next, unless somebody reads on.
  public final func stopReading(isolation: isolated any LoopActor = #isolation) {
    if inner.loop.isCurrent { inner.reader.stop() }
  }
}

extension StreamCore {
  /// On the loop.
  @inline(__always)
  func readArray(_ limit: Int) async throws -> [UInt8]? {
    try requirePositive(limit, "read")
    if try await !reader.waitForBytes(limit, "read") { return nil }
    return reader.takeArray(limit)
  }

  @inline(__always)
  func requirePositive(_ limit: Int, _ name: StaticString) throws {
    if limit <= 0 { throw notPositive(limit, name) }
  }

  @inline(never)
  private func notPositive(_ limit: Int, _ name: StaticString) -> UVError {
    UVError(
      .invalidArgument, call: call(name), "A limit of \(limit) bytes leaves nothing to read. Ask for at least one.")
  }

  /// Runs a waiting call on the loop that was made elsewhere.
  @inline(never)
  func elsewhere<R: Sendable>(
    _ name: StaticString,
    _ body: @Sendable (isolated EventLoop) async throws -> R
  ) async throws -> R {
    try Task.checkCancellation()
    try loop.requireRunning(call(name))
    guard let owner = loop.owner else { throw loop.closedError(call(name)) }
    return try await owner.call(body)
  }

  /// Refuses a call on the thread of another loop. The compiler has refused one that is on none.
  @inline(__always)
  func requireOnLoop(_ name: StaticString) throws(UVError) { try loop.requireOnLoop(call(name)) }

  /// What is held, else what one system call gives.
  func tryRead(into buffer: inout [UInt8], _ limit: Int) throws(UVError) -> Int? {
    if limit <= 0 { throw notPositive(limit, "tryRead") }
    try reader.requireAlone("tryRead")
    if !reader.isEmpty { return reader.append(to: &buffer, limit) }
    if let error = reader.failure("tryRead") { throw error }
    if reader.hasEnded { return 0 }
    return try reader.readNow(into: &buffer, limit)
  }
}

extension EventLoop {
  /// Runs `body` here, and nothing more.
  func call<R: Sendable>(_ body: @Sendable (isolated EventLoop) async throws -> R) async throws -> R {
    try await body(self)
  }
}
