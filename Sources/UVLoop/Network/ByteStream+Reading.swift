extension ByteStream {
  public final func read(upTo limit: Int = 65_536) async throws -> [UInt8]? {
    if core.loop.isCurrent { return try await core.readArray(limit) }
    return try await core.elsewhere("read") { [core] _ in try await core.readArray(limit) }
  }

  @inlinable
  public final func read<R, E: Error>(
    upTo limit: Int = 65_536, _ body: (RawSpan) throws(E) -> R
  ) async throws -> R? {
    // Here only what depends on the types of the caller: a generic function of another module is not made for them.
    guard let bytes = try await lend(upTo: limit) else { return nil }
    return try bytes.use(body)
  }

  /// The next bytes, which are used before the next `await`; nil at the end.
  @usableFromInline
  final func lend(upTo limit: Int) async throws -> LentBytes? {
    if core.loop.isCurrent {
      try core.requirePositive(limit, "read")
      if try await !core.reader.waitForBytes(limit, "read") { return nil }
      return core.reader.lend(limit)
    }
    let bytes = try await core.elsewhere("read") { [core] _ in try await core.readArray(limit) }
    return bytes.map { LentBytes($0, 0..<$0.count) }
  }

  @discardableResult
  public final func read(into buffer: inout [UInt8], upTo limit: Int = 65_536) async throws -> Int {
    if core.loop.isCurrent {
      try core.requirePositive(limit, "read")
      if try await !core.reader.waitForBytes(limit, "read") { return 0 }
      return core.reader.append(to: &buffer, limit)
    }
    let bytes = try await core.elsewhere("read") { [core] _ in try await core.readArray(limit) } ?? []
    buffer += bytes
    return bytes.count
  }

  public final func tryRead(
    into buffer: inout [UInt8], upTo limit: Int = 65_536, isolation: isolated any LoopActor = #isolation
  ) throws(UVError) -> Int? {
    try core.requireOnLoop("tryRead")
    return try core.tryRead(into: &buffer, limit)
  }

  public final func unread(_ bytes: [UInt8], isolation: isolated any LoopActor = #isolation) throws(UVError) {
    try core.requireOnLoop("unread")
    core.reader.unread(bytes)
  }

  public final func takeBuffered(isolation: isolated any LoopActor = #isolation) throws(UVError) -> [UInt8] {
    try core.requireOnLoop("takeBuffered")
    return core.reader.takeHeld()
  }

  public final func startReading(
    isolation: isolated any LoopActor = #isolation, _ body: @escaping (RawSpan) -> Void,
    atEnd end: @escaping (UVError?) -> Void
  ) throws(UVError) {
    try core.requireOnLoop("startReading")
    try core.reader.requireAlone("startReading")
    try core.reader.start(StreamCallbacks(core.loop, core.noun, body, atEnd: end))
  }

  public final func stopReading(isolation: isolated any LoopActor = #isolation) {
    if core.loop.isCurrent { core.reader.stop() }
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
    UVError(.invalidArgument, call: call(name), "A limit of \(limit) bytes leaves nothing to read. Ask for at least one.")
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
    if reader.heldCount > 0 { return reader.append(to: &buffer, limit) }
    switch reader.end {
    case nil: break
    case .end: return 0
    case .failed(let error), .closed(let error): throw error.named(call("tryRead"))
    }
    guard let descriptor = transport.descriptor else {
      throw UVError(.notSupported, call: call("tryRead"), "This stream has no descriptor to read from without a wait.")
    }
    return try reader.readNow(descriptor, into: &buffer, limit)
  }
}

extension EventLoop {
  /// Runs `body` here, and nothing more.
  func call<R: Sendable>(_ body: @Sendable (isolated EventLoop) async throws -> R) async throws -> R {
    try await body(self)
  }
}
