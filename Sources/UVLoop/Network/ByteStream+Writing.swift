extension ByteStream {
  /// Writes all of `bytes`, and returns when the kernel has taken them.
  ///
  /// There is no buffer of the library's that could be lost: what was written is sent, even if the process ends at
  /// once. Whether the peer has read it only an answer of the peer's can say.
  ///
  /// Most writes are done at once. While the kernel has no room the call waits, and holds a copy of 16 KiB at most. An
  /// empty array asks only whether the stream can be written to.
  ///
  /// - Throws: ``UVError/Code/brokenPipe`` if the peer has closed, or after ``finishWriting()``;
  ///   ``UVError/Code/connectionReset`` and other codes of the system, which end the writing: they come again whenever
  ///   you write; ``UVError/Code/tornWrite`` after a write that was cut, see below; ``UVError/Code/timedOut`` if the
  ///   peer has taken no byte for as long as ``timeouts-swift.property`` allow; ``UVError/Code/handleClosed`` when the
  ///   stream is closed here, or was; ``UVError/Code/loopClosed`` when the loop shuts down, or has;
  ///   `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait. A write that waits behind others sends nothing then. One that has begun goes on, if
  /// at most 64 KiB are left of it, and is sent whole although the call throws. A longer write is cut, and since
  /// whatever follows would be taken for its rest, later writes throw ``UVError/Code/tornWrite``. Reading goes on in
  /// any case. A write that times out ends in the same way.
  ///
  /// > libuv: `uv_try_write`, and `uv_write` for 16 KiB at a time of what is left.
  public final func write(_ bytes: [UInt8]) async throws {
    if inner.loop.isCurrent { return try await inner.write(bytes) }
    try await inner.elsewhere("write") { [inner] _ in try await inner.write(bytes) }
  }

  /// Writes `text` in UTF-8, and returns when the kernel has taken it; see `write` of an array of bytes.
  public final func write(_ text: String) async throws { try await write(Array(text.utf8)) }

  /// Writes all parts one behind the other, as one write: nothing of another task comes between them.
  ///
  /// Up to 1,024 parts go to the kernel in one call, without being copied together.
  ///
  /// - Throws: As `write` of an array of bytes does.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for one array that has all of the bytes.
  ///
  /// > libuv: `uv_try_write`, and `uv_write` for 16 KiB at a time of what is left.
  public final func write(contentsOf parts: [[UInt8]]) async throws {
    if inner.loop.isCurrent { return try await inner.write(contentsOf: parts) }
    try await inner.elsewhere("write") { [inner] _ in try await inner.write(contentsOf: parts) }
  }

  /// Lends room for `capacity` bytes, and writes what `fill` puts there.
  ///
  /// - Parameters:
  ///   - capacity: How much room, in bytes; zero is allowed.
  ///   - fill: Called once, in the caller's isolation, before anything is written. What it leaves free is not written.
  /// - Throws: What `fill` throws, and then nothing is written; ``UVError/Code/invalidArgument`` for a negative
  ///   capacity; what `write` of an array of bytes throws.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for an array of bytes. `fill` runs even in a task that is cancelled already.
  public final func write<E: Error>(
    capacity: Int, _ fill: (inout OutputRawSpan) throws(E) -> Void
  ) async throws {
    if capacity < 0 {
      throw UVError(.invalidArgument, call: inner.call("write"), "A capacity of \(capacity) bytes is not possible.")
    }
    try await write(try [UInt8](filling: capacity, fill))
  }

  /// Queues bytes to be written behind what is queued already, and does not wait.
  ///
  /// For whoever must not be held up by a slow peer, such as a chat that sends to all:
  ///
  /// ```swift
  /// if try !stream.enqueue(line) { stream.reset() }  // does not keep up
  /// ```
  ///
  /// An error of the connection ends the writing, and shows in the next call.
  ///
  /// - Returns: Whether the bytes were taken. False, and nothing is queued, while more than ``Options/writeQueueLimit``
  ///   bytes are: so the queue holds at most the limit and one array.
  /// - Throws: ``UVError/Code/brokenPipe`` after ``finishWriting()``; ``UVError/Code/tornWrite`` after a write that was
  ///   cut; the system's code after a write that failed; ``UVError/Code/busy`` for a standard stream that another loop
  ///   has; ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: Call it on any thread. What it has taken goes out before whatever is written after its return, on any
  /// thread, and before the end.
  ///
  /// > Ownership: The array is kept until its bytes have gone. ``close()`` drops it; ``finishWriting()`` waits for it.
  ///
  /// > libuv: `uv_write`.
  public final func enqueue(_ bytes: [UInt8]) throws(UVError) -> Bool { try inner.enqueue(bytes) }

  /// Writes as much as the kernel takes at once.
  ///
  /// - Returns: How many bytes that were, from the beginning; 0 while there is no room, and while other writes wait.
  /// - Throws: ``UVError/Code/brokenPipe``, ``UVError/Code/connectionReset`` and other codes of the system, which end
  ///   the writing; ``UVError/Code/tornWrite``; ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``;
  ///   ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > Cancellation: Does not look at it.
  ///
  /// > libuv: `uv_try_write`.
  public final func tryWrite(
    _ bytes: RawSpan, isolation: isolated any LoopActor = #isolation
  ) throws(UVError) -> Int {
    try inner.requireOnLoop("tryWrite")
    return try unsafe bytes.withUnsafeBytes { (bytes) throws(UVError) -> Int in
      try unsafe inner.writer.tryWrite(bytes, "tryWrite")
    }
  }

  /// Ends this side of the stream: the peer sees the end behind everything that was written. Reading goes on.
  ///
  /// Waits for the writes that are queued. From the call on a `write` throws ``UVError/Code/brokenPipe``.
  ///
  /// Of a pipe that is no socket this closes the descriptor: its reader sees the end then, and no sooner. A read throws
  /// ``UVError/Code/handleClosed`` from then on. A terminal and a standard stream, which others write to as well, have
  /// no end of ours: it waits, and writing may go on.
  ///
  /// - Throws: ``UVError/Code/socketNotConnected`` the second time; ``UVError/Code/tornWrite`` after a write that was
  ///   cut; what `write` throws for a queued write that fails.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait. Behind other writes the end is withdrawn, and writing may go on; one that has begun
  /// is sent.
  ///
  /// > libuv: `uv_shutdown`; `uv_close` of a pipe.
  public final func finishWriting() async throws {
    if inner.loop.isCurrent { return try await inner.finishWriting() }
    try await inner.elsewhere("finishWriting") { [inner] _ in try await inner.finishWriting() }
  }

  /// Ends the writing behind what is queued, and closes when the peer has ended its side too.
  ///
  /// So the peer gets all that was written. A plain ``close()`` with bytes unread makes the kernel reset the
  /// connection, and that takes from the peer what it has not read yet (RFC 7230, section 6.6). So from the beginning
  /// what comes is read and dropped, unless a task reads it; a read behind such a gap throws
  /// ``UVError/Code/handleClosed``.
  ///
  /// It throws nothing and never hangs: what fails, or takes longer than `limit`, ends in the close. What the stream
  /// holds itself is dropped.
  ///
  /// - Parameter limit: How long it may take, queued writes included. With zero or less it closes as soon as the loop
  ///   has gone round; the largest `Duration` is no limit.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Closes at once.
  ///
  /// > libuv: `uv_shutdown`, `uv_read_start`, `uv_close`.
  public final func closeGracefully(within limit: Duration) async {
    do {
      if inner.loop.isCurrent {
        try await inner.closeGracefully(within: limit)
      } else {
        try await inner.elsewhere("closeGracefully") { [inner] _ in try await inner.closeGracefully(within: limit) }
      }
    } catch {
      // There is nobody to act on it, and closing is what was asked for.
    }
    close()
  }
}

extension StreamCore {
  @inline(__always)
  func write(_ bytes: [UInt8]) async throws {
    if let rest = try writer.begin(bytes, "write") { try await rest.value(on: loop) }
  }

  func write(contentsOf parts: [[UInt8]]) async throws {
    if let rest = try writer.begin(parts, "write") { try await rest.value(on: loop) }
  }

  func finishWriting() async throws {
    try await writer.beginEnd("finishWriting").value(on: loop)
  }

  /// From any thread: true if it was taken.
  func enqueue(_ bytes: [UInt8]) throws(UVError) -> Bool {
    loop.requireOwnProcess()
    try loop.requireRunning(call("enqueue"))
    if let error = writer.refusedAnywhere("enqueue") { throw error }
    // Somebody may have closed it on another thread, and the loop has not heard of it.
    if isClosed { throw StreamCore.closedError(.handleClosed, typeName, loop, call("enqueue")) }
    if let error = transport.refusal(toQueue: "enqueue") { throw error }
    if !writer.noteQueued(bytes.count, within: writeQueueLimit) { return false }
    if bytes.isEmpty { return true }
    let write = StreamWrite("enqueue", [bytes], isTried: false, of: writer)
    let arrivals = writer.network.arrivals
    if loop.isCurrent {
      arrivals.take()
      write.queue()
    } else if !arrivals.add(write, on: loop) {
      writer.noteQueued(-bytes.count)
      // Where nothing refuses it any more an end was withdrawn just now.
      return try enqueue(bytes)
    }
    return true
  }

  func closeGracefully(within limit: Duration) async throws {
    if isClosed { return }
    try await StreamClosing(self, limit).value()
  }
}

extension [UInt8] {
  /// An array of what `fill` puts into it.
  init<E: Error>(filling capacity: Int, _ fill: (inout OutputRawSpan) throws(E) -> Void) throws(E) {
    var failure: E?
    self = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      var span = unsafe OutputRawSpan(buffer: UnsafeMutableRawBufferPointer(buffer), initializedCount: 0)
      do throws(E) { try fill(&span) } catch { failure = error }
      count = unsafe span.finalize(for: UnsafeMutableRawBufferPointer(buffer))
    }
    if let failure { throw failure }
  }
}
