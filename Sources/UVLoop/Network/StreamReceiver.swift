import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Who waits for the next stream that comes over a pipe. Belongs to the loop's thread, but for what is atomic.
@safe final class StreamReceiver: WaitOwner, @unchecked Sendable {  // Holds because of the line above.
  private let loop: LoopCore
  private let engine: PassingEngine
  /// It keeps this one.
  private unowned let reader: StreamReader
  private var wait: LoopWait?
  private let awaited = Atomic(false)
  /// A task waits, also when it is about to go on.
  private(set) var isOccupied = false
  /// When the wait began that is under way, in nanoseconds of the loop's time.
  private(set) var since: Int64 = 0

  init(_ engine: PassingEngine, beside reader: StreamReader) {
    loop = engine.loop
    self.engine = engine
    self.reader = reader
  }

  // MARK: On any thread

  /// Whether a task waits for a stream. Only the loop says so.
  private(set) var isAwaited: Bool {
    get { awaited.load(ordering: .relaxed) }
    set { awaited.store(newValue, ordering: .relaxed) }
  }

  // MARK: On the loop: waiting

  /// Whether streams have come that nobody has taken.
  var isEmpty: Bool { engine.passed.isEmpty }

  /// The next stream; nil at the end.
  func next(_ name: StaticString) async throws -> ByteStream? {
    try requireFree(name)
    while true {
      switch try take(name) {
      case .stream(let stream): return stream
      case .end: return nil
      case .more: try await wait(name)
      }
    }
  }

  private func requireFree(_ name: StaticString) throws {
    try WaitScope.checkCancellation()
    try loop.requireRunning(reader.call(name))
    if !isOccupied { return }
    throw UVError(
      .busy, call: reader.call(name), "Another task waits for streams at this pipe already. One can at a time.")
  }

  private enum Answer {
    case stream(ByteStream), end, more
  }

  /// What there is without a wait.
  @inline(never)
  private func take(_ name: StaticString) throws -> Answer {
    if let arrival = engine.passed.take() { return .stream(try open(arrival, reader.call(name))) }
    if try reader.isOver(name) { return .end }
    if !isStuck { return .more }
    throw UVError(
      .messageTooLong, call: reader.call(name),
      """
      \(reader.count) bytes have come that nobody has read, and the next stream lies behind others. Each stream brings \
      at least one: read them too.
      """)
  }

  private func wait(_ name: StaticString) async throws {
    isOccupied = true
    defer { isOccupied = false }
    let wait = LoopWait.renew(self.wait, .read, on: loop, owner: self, 0)
    self.wait = wait
    try await wait.value(reader.call(name))
  }

  func begin(_ wait: LoopWait) {
    isAwaited = true
    since = loop.time.now
    do throws(UVError) { try reader.readAhead() } catch {
      isAwaited = false
      wait.resume(throwing: error)
    }
  }

  func withdraw(_ wait: LoopWait) { isAwaited = false }

  /// So much is held that nothing more is read for the receiver, and nobody takes it.
  private var isStuck: Bool { reader.isFull && !reader.isBeingRead }

  /// Bytes have come, and streams perhaps.
  func check() { if !isEmpty || isStuck { resume() } }

  /// There is something to be told.
  func resume() {
    if !isAwaited { return }
    isAwaited = false
    // Not at once: it may be somebody's code that has brought it here, which nothing else of the loop's may interrupt.
    wait?.resume()
  }

  func end(throwing error: UVError) {
    if !isAwaited { return }
    isAwaited = false
    wait?.resume(throwing: error)
  }

  /// A shutdown ends the wait with `loopClosed`.
  func releaseWaits() {
    if !isAwaited { return }
    isAwaited = false
    wait?.endClosed()
  }

  /// The wait keeps this one.
  func letGo() { wait = nil }

  // MARK: On the loop: what has come

  private func open(_ arrival: PassedDescriptors.Arrival, _ call: String) throws(UVError) -> ByteStream {
    switch arrival {
    case .descriptor(let descriptor): return try open(descriptor, call)
    case .refused(let count):
      throw UVError(
        .noBufferSpace, call: call,
        """
        \(PassedDescriptors.most) streams had come that nobody had taken, and \(count) behind them were closed. \
        Take them sooner.
        """)
    case .lost:
      throw UVError(
        .tooManyOpenFiles, call: call,
        "A stream was sent for which this process had no descriptor left, and it is lost. Those behind it are not.")
    }
  }

  private func open(_ descriptor: Int32, _ call: String) throws(UVError) -> ByteStream {
    if let what = StreamReceiver.stranger(descriptor) {
      Posix.close(descriptor)
      throw UVError(
        .invalidArgument, call: call,
        "What came is \(what), and no stream: it was closed. Only connections and pipes can be received.")
    }
    // A connection that its peer has reset by now says so itself.
    return try ByteStream.make(
      descriptor, isUnix: !StreamReceiver.isTCP(descriptor), on: loop, engine.options, StreamAddresses(of: descriptor))
  }

  private static func isTCP(_ descriptor: Int32) -> Bool {
    let family = Socket.family(of: descriptor)
    return family == AF_INET || family == AF_INET6
  }

  /// What it is, if it is no stream.
  private static func stranger(_ descriptor: Int32) -> String? {
    let type = Socket.type(of: descriptor)
    if type < 0 { return Posix.isPipe(descriptor) ? nil : "a file, or a device" }
    if type != Socket.stream { return "a socket for datagrams" }
    if Socket.isListening(descriptor) { return "a socket that listens" }
    return isTCP(descriptor) || Socket.family(of: descriptor) == AF_UNIX ? nil : "a socket of another family"
  }
}
