// The file is long because who waits, whether bytes flow and what has ended change together, with each byte.

import Synchronization

// nobody ──wants──▶ waiting ──bytes──▶ (the task takes them) ──▶ nobody
//    any ──the end, an error, a close──▶ ended, for ever
//
// Reading goes on between two reads. When bytes have come and nobody wants them, the transport gets no room for them
// and asks again before the poll; until then they stay where they are, in the kernel. So the kernel's buffer is the
// buffer, and a loop of reads changes nothing in the kernel's set of watched descriptors.

/// The reading side of a stream. Belongs to the loop's thread.
// Holds because the waits call it on the loop's thread alone.
@safe final class StreamReader: StreamBuffer, StreamSink, WaitOwner, IdleLimited, @unchecked Sendable {
  /// What is read ahead at once for a piece: no more is held than this beyond its limit.
  private static let pieceRoom = 65_536

  // What a read asks for each time is in variables that are only ever assigned: one that a method changes in place is
  // looked after at run time, at each use.

  private let loop: LoopCore
  private let transport: any StreamTransport
  private let loopCounters: LoopCounters
  /// The type's name, for messages.
  private let typeName: StaticString

  /// The wait of a task that reads again and again.
  private var wait: LoopWait?
  /// Whether it is under way. Nobody else keeps it: while a task goes on in `received` it is renewed for the next read.
  private(set) var isAwaited: Bool {
    get { awaited.load(ordering: .relaxed) }
    set { awaited.store(newValue, ordering: .relaxed) }
  }
  /// Read on any thread.
  private let awaited = Atomic(false)
  /// A task reads, also when it is about to go on.
  private var isOccupied = false
  /// What a task has taken out it may give back, and nobody else reads meanwhile.
  private var isForwarding = false
  /// How many bytes it would take.
  private var wanted = 0
  private var callbacks: StreamCallbacks?
  /// Of a pipe over which streams are sent: who waits for them. It stays the same.
  private(set) var receiver: StreamReceiver?
  /// What comes is dropped, until these are called at the end.
  private var discarding: [() -> Void] = []
  /// Whether the transport knows that bytes are wanted.
  private var isFlowing = false
  /// Nil while bytes may come.
  private(set) var end: StreamEnd?
  private(set) var hasEnded = false
  /// Whether the transport brings nothing more.
  private(set) var isExhausted = false
  private var reset: UVError?
  private var budget = StreamBudget()
  private var limit: StreamLimit?
  /// When the wait began that is under way. Only with a limit.
  private var since: Int64 = 0
  private let total = Atomic<Int64>(0)

  init(_ loop: LoopCore, _ transport: any StreamTransport, _ typeName: StaticString) {
    self.loop = loop
    self.transport = transport
    self.typeName = typeName
    loopCounters = loop.counters
    super.init(loop.networkAnywhere)
  }

  // MARK: - On any thread

  /// Whether a task waits for bytes, or for a stream.
  var hasWaiter: Bool { isAwaited || receiver?.isAwaited == true }

  /// How many bytes have come from below.
  var bytes: Int64 { total.load(ordering: .relaxed) }

  func call(_ name: StaticString) -> String { "\(typeName).\(name)" }

  /// Before anybody knows of the stream: others can come over it. By whoever makes it.
  func receive(by engine: PassingEngine) {
    let receiver = StreamReceiver(engine, beside: self)
    self.receiver = receiver
    engine.receiver = receiver
  }

  // MARK: - On the loop: waiting for bytes

  /// Waits until bytes are there; false at the end.
  ///
  /// - Parameter room: How many bytes are wanted at most: no more are taken from the kernel.
  @inline(__always)
  func waitForBytes(_ room: Int, _ name: StaticString) async throws -> Bool {
    try requireAlone(name)
    // To have it all without a wait is no reason to keep others from the loop.
    var isYield = try (!isEmpty || hasEnded) && !mayGoOn(name)
    while isYield || isEmpty {
      if hasEnded && !isYield { return try !isOver(name) }
      // At one place, since each has its share of the task's memory.
      try await wait(isYield ? 0 : room, name)
      isYield = false
    }
    return true
  }

  /// Waits until a whole piece is there, which stays until it is taken; nil at the end.
  @inline(__always)
  func waitForPiece(
    _ target: LineScanner.Target, _ limit: Int, _ name: StaticString
  ) async throws -> StreamPiece? {
    try requireFree(name)
    var scanner = StreamScanner(target, limit)
    while true {
      let room: Int
      switch try scan(with: &scanner, name) {
      case .piece(let piece): return piece
      case .end: return nil
      case .yield: room = 0
      case .more: room = StreamReader.pieceRoom
      case .fail(let failure): throw failure.error(call(name))
      }
      try await wait(room, name)
    }
  }

  /// Waits for more, or only until the loop has gone round.
  @inline(__always)
  private func wait(_ room: Int, _ name: StaticString) async throws {
    isOccupied = true
    defer { isOccupied = false }
    let wait = LoopWait.renew(self.wait, .read, on: loop, owner: self, Int64(room))
    self.wait = wait
    try await wait.value(self.call(name))
  }

  @inline(never)
  private func scan(with scanner: inout StreamScanner, _ name: StaticString) throws -> StreamScanner.Answer {
    try requireOpen(name)
    let isWhole = if hasEnded, case .end = end { true } else { false }
    let answer = unsafe withBytes { unsafe scanner.scan($0, version: version, hasEnded: isWhole) }
    if case .piece(let piece) = answer, !mayGoOn(piece.consumed) { return .yield }
    if case .more = answer {
      _ = try isOver(name)
      // What is lent is gone when more comes.
      hold()
    }
    return answer
  }

  /// Without a wait: whether the task may go on, or has to let the loop go round.
  @inline(never)
  private func mayGoOn(_ name: StaticString) throws -> Bool {
    try requireGoing(name)
    return mayGoOn(1)
  }

  private func mayGoOn(_ bytes: Int) -> Bool {
    let next = budget.after(bytes, in: network.iteration)
    budget = next
    return !next.isUsedUp
  }

  /// What a wait asks too: the task goes on, and so does the loop.
  private func requireGoing(_ name: StaticString) throws {
    try WaitScope.checkCancellation()
    try loop.requireRunning(call(name))
  }

  /// Before each use that does not wait at once.
  private func requireFree(_ name: StaticString) throws {
    try requireGoing(name)
    try requireAlone(name)
  }

  func requireOpen(_ name: StaticString) throws(UVError) {
    if !hasEnded { return }
    switch end {
    case .dropped, .closed: if let error = failure(name) { throw error }
    case nil, .end, .failed: break
    }
  }

  func requireAlone(_ name: StaticString) throws(UVError) {
    try requireOpen(name)
    if isInUse {
      throw UVError(
        .busy, call: call(name),
        "This \(typeName) is being read already, by another task or by callbacks. One can read at a time.")
    }
  }

  /// True at the end.
  @inline(never)
  func isOver(_ name: StaticString) throws -> Bool {
    if let error = failure(name) { throw error }
    return end != nil
  }

  /// What its calls throw from now on; nil while bytes may come, and at the peer's end.
  func failure(_ name: StaticString) -> UVError? {
    switch end {
    case nil, .end: nil
    case .failed(let error): error.named(call(name))
    case .dropped: UVError(.handleClosed, call: call(name), "closeGracefully is under way, and drops what comes.")
    case .closed(let code): StreamCore.closedError(code, typeName, loop, call(name))
    }
  }

  /// Its argument is how many bytes it would take; 0 for one that only lets the loop go round.
  func begin(_ wait: LoopWait) {
    wanted = Int(wait.argument)
    if wanted == 0 {
      budget = StreamBudget()
      return wait.resumeLater()
    }
    isAwaited = true
    if let limit {
      since = loop.time.now
      limit.begin()
    }
    do throws(UVError) { try flow() } catch { end(throwing: error) }
  }

  func withdraw(_ wait: LoopWait) { isAwaited = false }

  /// The task that waits goes on, if there is one, and before this returns if it can.
  @inline(__always)
  private func resumeNow() {
    if !isAwaited { return }
    isAwaited = false
    // Holds because the wait is kept by the task that waits at it.
    if let wait { unsafe Unmanaged.passUnretained(wait)._withUnsafeGuaranteedRef { $0.resumeNow() } }
  }

  private func end(throwing error: UVError) {
    if !isAwaited { return }
    isAwaited = false
    wait?.resume(throwing: error)
  }

  private func flow() throws(UVError) {
    if isFlowing { return }
    try transport.startReading(into: self)
    isFlowing = true
  }

  // MARK: - On the loop: streams beside the bytes

  /// Whether so much is held that nothing is read ahead of those who take it.
  var isFull: Bool { count >= StreamReader.pieceRoom }

  /// Whether somebody takes what comes.
  var isBeingRead: Bool { isOccupied || callbacks != nil }

  /// The receiver waits. The bytes before the next stream are held for who reads.
  func readAhead() throws(UVError) {
    limit?.begin()
    try flow()
  }

  // MARK: - On the loop: what the transport brings

  func room() -> UnsafeMutableRawBufferPointer? {
    if callbacks != nil || isAwaited {
      let count = callbacks != nil ? LoopNetwork.blockSize : min(wanted, LoopNetwork.blockSize)
      if count > 0 { return unsafe UnsafeMutableRawBufferPointer(start: network.block, count: count) }
    }
    if !discarding.isEmpty {
      return unsafe UnsafeMutableRawBufferPointer(start: network.block, count: LoopNetwork.blockSize)
    }
    if let receiver, receiver.isAwaited, !isFull {
      return unsafe UnsafeMutableRawBufferPointer(start: network.block, count: StreamReader.pieceRoom - count)
    }
    isFlowing = false
    // Where a task waits for streams there is no room for them. Whoever read may have gone, and then it has to know.
    receiver?.resume()
    return nil
  }

  func received(_ count: Int) {
    add(count)
    limit?.note()
    came(count)
    if callbacks != nil { return deliver() }
    resumeNow()
    if !isLent { return }
    if isDropping { drop() } else { hold() }
  }

  /// One thread writes it.
  @inline(__always)
  private func add(_ count: Int) {
    total.store(total.load(ordering: .relaxed) &+ Int64(count), ordering: .relaxed)
    loopCounters.bytesRead.add(count)
  }

  func ended(_ error: UVError?) {
    let error = error ?? reset
    if end == nil { end = error.map(StreamEnd.failed) ?? .end }
    hasEnded = true
    isExhausted = true
    isFlowing = false
    if callbacks != nil { deliver() } else { resumeNow() }
    receiver?.resume()
    finishDiscarding()
  }

  /// A write has been told that the peer reset the connection. The kernel tells it once, and a read behind that finds
  /// an end like any other.
  func wasReset(_ error: UVError) { reset = error }

  func closed(_ error: UVError) { close(error.code) }

  /// From now on everything throws this.
  func close(_ code: UVError.Code) {
    if case .closed = end { return }
    end = .closed(code)
    hasEnded = true
    isExhausted = true
    isFlowing = false
    limit?.end()
    limit = nil
    removeAll()
    let callbacks = callbacks
    self.callbacks = nil
    if isAwaited, let error = failure("read") { end(throwing: error) }
    if let receiver, let error = failure("receiveStream") { receiver.end(throwing: error) }
    // They keep this one.
    wait = nil
    receiver?.letGo()
    finishDiscarding()
    _ = consume callbacks
  }

  // MARK: - On the loop: the idle limit

  var waitingSince: Int64? {
    let receiver = receiver.flatMap { $0.isAwaited ? $0.since : nil }
    return isAwaited ? min(since, receiver ?? since) : receiver
  }

  func setLimit(_ span: Duration?) {
    limit?.end()
    limit = span.map { StreamLimit(loop, $0, of: self) }
  }

  func expire(_ limit: Duration) {
    let now = loop.time.now
    func error(_ name: StaticString) -> UVError {
      UVError(.timedOut, call: call(name), "No byte has come for \(limit.text), the limit in timeouts.read.")
    }
    if since.later(by: limit) <= now { end(throwing: error("read")) }
    if let receiver, receiver.since.later(by: limit) <= now { receiver.end(throwing: error("receiveStream")) }
  }

  /// A shutdown ends the wait with `loopClosed`.
  func releaseWaits() {
    receiver?.releaseWaits()
    if !isAwaited { return }
    isAwaited = false
    wait?.endClosed()
  }

  // MARK: - On the loop: without a wait

  /// Puts bytes before all that is there. Who waits gets them.
  func unread(_ bytes: [UInt8]) {
    if bytes.isEmpty { return }
    putFirst(bytes)
    if callbacks != nil { return deliverLater() }
    if !isAwaited { return }
    // Not at once: its caller is somebody's code, which nothing else of the loop's may interrupt.
    isAwaited = false
    wait?.resume()
  }

  /// Asks the transport, once: 0 at the end, nil if there is nothing.
  func readNow(into buffer: inout [UInt8], _ limit: Int) throws(UVError) -> Int? {
    var outcome: Result<Int?, UVError> = .success(nil)
    let more = unsafe [UInt8](unsafeUninitializedCapacity: min(limit, LoopNetwork.blockSize)) { room, filled in
      outcome = Result { () throws(UVError) in unsafe try transport.tryRead(into: UnsafeMutableRawBufferPointer(room)) }
      if case .success(let count?) = outcome { filled = count }
    }
    do throws(UVError) {
      guard let count = try outcome.get() else { return nil }
      if count == 0 {
        ended(nil)
        if case .failed(let error) = end { throw error.named(call("tryRead")) }
      }
      add(count)
      self.limit?.note()
      receiver?.check()
      buffer += more
      return count
    } catch {
      if error.code != .notSupported && transport.isLasting { ended(error) }
      throw error
    }
  }

  /// Around the write of bytes that have been taken, and may come back.
  func forwarding(_ isUnderWay: Bool) { isForwarding = isUnderWay }

  /// Whether a task or callbacks read.
  var isInUse: Bool { isOccupied || isForwarding || callbacks != nil }

  /// Drops what nobody reads, until nothing comes any more. A task that reads gets its bytes, and goes on getting them
  /// if it is back before more come; after a gap its reads fail.
  func discard(then done: @escaping () -> Void) {
    if isExhausted { return done() }
    discarding.append(done)
    if isDropping && !isEmpty { drop() }
    do { try flow() } catch { finishDiscarding() }
  }

  private var isDropping: Bool { !discarding.isEmpty && !isInUse }

  private func drop() {
    removeAll()
    if hasEnded { return }
    end = .dropped
    hasEnded = true
  }

  private func finishDiscarding() {
    let done = discarding
    discarding = []
    for body in done { body() }
  }

  // MARK: - On the loop: callbacks

  func start(_ callbacks: StreamCallbacks) throws(UVError) {
    self.callbacks = callbacks
    if !isEmpty || hasEnded { deliverLater() }
    if hasEnded { return }
    do throws(UVError) { try flow() } catch {
      self.callbacks = nil
      throw error
    }
  }

  /// Nothing is told to callbacks within a call of their owner's.
  private func deliverLater() { loop.enqueue { self.deliver() } }

  /// Tells the callbacks what is there, and the end behind it.
  private func deliver() {
    if let callbacks, !isEmpty { callbacks.receive(lend(.max)) }
    // They may have been stopped, or exchanged for others, which are told by themselves.
    guard hasEnded, isEmpty, let callbacks, let end else { return }
    self.callbacks = nil
    switch end {
    case .end: callbacks.end(nil)
    case .failed(let error): callbacks.end(error)
    case .dropped, .closed: break
    }
  }

  func stop() {
    let callbacks = callbacks
    self.callbacks = nil
    _ = consume callbacks
  }
}
