extension ByteStream {
  public final func write(_ bytes: [UInt8]) async throws {
    if core.loop.isCurrent { return try await core.write(bytes) }
    try await core.elsewhere("write") { [core] _ in try await core.write(bytes) }
  }

  public final func write(_ text: String) async throws { try await write(Array(text.utf8)) }

  public final func write(contentsOf parts: [[UInt8]]) async throws {
    if core.loop.isCurrent { return try await core.write(contentsOf: parts) }
    try await core.elsewhere("write") { [core] _ in try await core.write(contentsOf: parts) }
  }

  public final func write<E: Error>(
    capacity: Int, _ fill: (inout OutputRawSpan) throws(E) -> Void
  ) async throws {
    if capacity < 0 {
      throw UVError(.invalidArgument, call: core.call("write"), "A capacity of \(capacity) bytes is not possible.")
    }
    try await write(try [UInt8](filling: capacity, fill))
  }

  public final func enqueue(_ bytes: [UInt8]) throws(UVError) -> Bool { try core.enqueue(bytes) }

  public final func tryWrite(
    _ bytes: RawSpan, isolation: isolated any LoopActor = #isolation
  ) throws(UVError) -> Int {
    try core.requireOnLoop("tryWrite")
    return try unsafe bytes.withUnsafeBytes { (bytes) throws(UVError) -> Int in
      try unsafe core.writer.tryWrite(bytes, "tryWrite")
    }
  }

  public final func finishWriting() async throws {
    if core.loop.isCurrent { return try await core.finishWriting() }
    try await core.elsewhere("finishWriting") { [core] _ in try await core.finishWriting() }
  }

  public final func closeGracefully(within limit: Duration) async {
    do {
      if core.loop.isCurrent {
        try await core.closeGracefully(within: limit)
      } else {
        try await core.elsewhere("closeGracefully") { [core] _ in try await core.closeGracefully(within: limit) }
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
    try loop.requireRunning(call("enqueue"))
    if let error = writer.refusedAnywhere("enqueue") { throw error }
    if writer.queuedBytes > writeQueueLimit { return false }
    if bytes.isEmpty { return true }
    writer.noteQueued(bytes.count)
    let write = StreamWrite("enqueue", [bytes], isTried: false, of: writer)
    if !loop.onLoop({ self.writer.append(write) }) {
      writer.noteQueued(-bytes.count)
      throw loop.closedError(call("enqueue"))
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
