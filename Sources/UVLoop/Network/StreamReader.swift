// The file is long because who waits, what is lent and what is held change together, with each byte.

import Synchronization

// nobody ──wants──▶ waiting ──bytes──▶ (the task takes them) ──▶ nobody
//    any ──the end, an error, a close──▶ ended, for ever
//
// Reading goes on between two reads. When bytes have come and nobody wants them, the transport gets no room for them
// and asks again before the poll; until then they stay where they are, in the kernel. So the kernel's buffer is the
// buffer, and a loop of reads changes nothing in the kernel's set of watched descriptors.
//
// The bytes that a task waits for lie in the loop's block, which all of its streams share. They are lent to it until the
// callback that brought them returns: a task that goes on at once takes them from there. What is not taken by then is
// copied into the stream, before another one can read into the block.

/// The reading side of a stream. Belongs to the loop's thread.
// Holds because the waits call it on the loop's thread alone.
@safe final class StreamReader: StreamSink, WaitOwner, IdleLimited, @unchecked Sendable {
  // What a read asks for each time is in variables that are only ever assigned: one that a method changes in place is
  // looked after at run time, at each use.

  private let core: LoopCore
  private let transport: any StreamTransport
  private let network: LoopNetwork
  private let loopCounters: LoopCounters
  /// The type's name, for messages.
  private let noun: StaticString

  /// The wait of a task that reads again and again.
  private var wait: LoopWait?
  /// Whether it is under way. Nobody else keeps it: while a task goes on in `received` it is renewed for the next read.
  private var isAwaited: Bool {
    get { awaited.load(ordering: .relaxed) }
    set { awaited.store(newValue, ordering: .relaxed) }
  }
  /// Read on any thread.
  private let awaited = Atomic(false)
  /// A task reads, also when it is about to go on.
  private var isOccupied = false
  /// How many bytes it would take.
  private var wanted = 0
  private var callbacks: StreamCallbacks?
  /// What comes is dropped, until these are called at the end.
  private var discarding: [() -> Void] = []
  /// Whether the transport knows that bytes are wanted.
  private var isFlowing = false
  /// What of the loop's block is this stream's right now.
  private var lentStart = 0
  private var lentEnd = 0
  /// What was read and not taken, and where it lies.
  private var held: [UInt8] = []
  private var heldStart = 0
  private var heldEnd = 0
  /// Counts how often bytes were put in front of others.
  private var version = 0
  /// Nil while bytes may come.
  private(set) var end: StreamEnd?
  private(set) var hasEnded = false
  private var reset: UVError?
  private var budget = StreamBudget()
  private var limit: StreamLimit?
  /// When the wait began that is under way. Only with a limit.
  private var since: Int64 = 0
  private let total = Atomic<Int64>(0)

  init(_ core: LoopCore, _ transport: any StreamTransport, _ noun: StaticString) {
    self.core = core
    self.transport = transport
    self.noun = noun
    network = core.network
    loopCounters = core.counters
  }

  /// Whether a task waits for bytes. On any thread.
  var hasWaiter: Bool { isAwaited }

  /// How many bytes have come from below. On any thread.
  var bytes: Int64 { total.load(ordering: .relaxed) }

  /// One thread writes it.
  @inline(__always)
  private func add(_ count: Int) {
    total.store(total.load(ordering: .relaxed) &+ Int64(count), ordering: .relaxed)
    loopCounters.bytesRead.add(count)
  }

  private func call(_ name: StaticString) -> String { "\(noun).\(name)" }

  // MARK: - Waiting for bytes

  /// Waits until bytes are there; false at the end.
  ///
  /// - Parameter room: How many bytes are wanted at most: no more are taken from the kernel.
  @inline(__always)
  func waitForBytes(_ room: Int, _ name: StaticString) async throws -> Bool {
    try requireAlone(name)
    // To have it all without a wait is no reason to keep others from the loop.
    if isReady || hasEnded, try !mayGoOn(name) { try await wait(0, name) }
    while !isReady {
      if hasEnded { return try !isOver(name) }
      try await wait(room, name)
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
      switch try look(for: &scanner, name) {
      case .piece(let piece): return piece
      case .end: return nil
      case .turn: try await wait(0, name)
      case .more: try await wait(LoopNetwork.blockSize, name)
      case .fail(let failure): throw failure.error(call(name))
      }
    }
  }

  /// Waits for more, or only until the loop has gone round.
  @inline(__always)
  private func wait(_ room: Int, _ name: StaticString) async throws {
    isOccupied = true
    defer { isOccupied = false }
    let wait = LoopWait.renew(self.wait, .read, on: core, owner: self, Int64(room))
    self.wait = wait
    try await wait.value(self.call(name))
  }

  @inline(never)
  private func look(for scanner: inout StreamScanner, _ name: StaticString) throws -> StreamScanner.Answer {
    if hasEnded, case .closed(let error) = end { throw error.named(call(name)) }
    let isWhole = if hasEnded, case .end = end { true } else { false }
    let answer = unsafe withBytes { unsafe scanner.scan($0, version: version, hasEnded: isWhole) }
    if case .piece(let piece) = answer, !mayGoOn(piece.consumed) { return .turn }
    if case .more = answer {
      _ = try isOver(name)
      // What is lent is gone when more comes.
      hold()
    }
    return answer
  }

  private var isReady: Bool { lentEnd > lentStart || heldEnd > heldStart }

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
    try core.requireRunning(call(name))
  }

  /// Before each use that does not wait at once.
  private func requireFree(_ name: StaticString) throws {
    try requireGoing(name)
    try requireAlone(name)
  }

  func requireOpen(_ name: StaticString) throws(UVError) {
    if !hasEnded { return }
    if case .closed(let error) = end { throw error.named(call(name)) }
  }

  func requireAlone(_ name: StaticString) throws(UVError) {
    try requireOpen(name)
    if isInUse {
      throw UVError(
        .busy, call: call(name),
        "This \(noun) is being read already, by another task or by callbacks. One can read at a time.")
    }
  }

  /// True at the end.
  @inline(never)
  func isOver(_ name: StaticString) throws -> Bool {
    switch end {
    case nil: return false
    case .end: return true
    case .failed(let error), .closed(let error): throw error.named(call(name))
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
      since = core.time.now
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

  // MARK: - What the transport brings

  func room() -> UnsafeMutableRawBufferPointer? {
    if callbacks != nil || isAwaited {
      let count = callbacks != nil ? LoopNetwork.blockSize : min(wanted, LoopNetwork.blockSize)
      if count > 0 { return unsafe UnsafeMutableRawBufferPointer(start: network.block, count: count) }
    }
    if !discarding.isEmpty {
      return unsafe UnsafeMutableRawBufferPointer(start: network.block, count: LoopNetwork.blockSize)
    }
    isFlowing = false
    return nil
  }

  func received(_ count: Int) {
    add(count)
    limit?.note()
    lentEnd = count
    // Whoever waits for more has looked at what is held, and callbacks get that first.
    if heldEnd > heldStart { hold() }
    if callbacks != nil { return deliver() }
    resumeNow()
    if lentEnd == lentStart { return }
    if discarding.isEmpty { hold() } else { take(lentEnd - lentStart) }
  }

  func ended(_ error: UVError?) {
    let error = error ?? reset
    if end == nil { end = error.map(StreamEnd.failed) ?? .end }
    hasEnded = true
    isFlowing = false
    if callbacks != nil { deliver() } else { resumeNow() }
    finishDiscarding()
  }

  /// A write has been told that the peer reset the connection. The kernel tells it once, and a read behind that finds
  /// an end like any other.
  func wasReset(_ error: UVError) { reset = error }

  /// From now on everything throws this.
  func closed(_ error: UVError) {
    if case .closed = end { return }
    end = .closed(error)
    hasEnded = true
    isFlowing = false
    limit?.end()
    limit = nil
    letGo()
    (lentStart, lentEnd) = (0, 0)
    let callbacks = callbacks
    self.callbacks = nil
    end(throwing: error)
    // It keeps this one.
    wait = nil
    finishDiscarding()
    _ = consume callbacks
  }

  // MARK: - The idle limit

  var isWaiting: Bool { isAwaited }
  var waitingSince: Int64? { isWaiting ? since : nil }

  func setLimit(_ span: Duration?) {
    limit?.end()
    limit = span.map { StreamLimit(core, $0, of: self) }
  }

  func expire(_ limit: Duration) {
    end(
      throwing: UVError(
        .timedOut, call: call("read"), "No byte has come for \(limit.text), the limit in timeouts.read."))
  }

  /// A shutdown ends the wait with `loopClosed`.
  func releaseWaits() {
    if !isAwaited { return }
    isAwaited = false
    wait?.close()
  }

  // MARK: - What is there

  /// How many bytes the stream itself holds.
  var heldCount: Int { heldEnd - heldStart + lentEnd - lentStart }

  /// Looks at what is there. `body` must not come back here.
  @inline(__always)
  func withBytes<R, E>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    if lentEnd > lentStart {
      return try unsafe body(UnsafeRawBufferPointer(start: network.block + lentStart, count: lentEnd - lentStart))
    }
    let (held, start) = (held, heldStart)
    return try unsafe held.span.bytes.withUnsafeBytes { (bytes) throws(E) -> R in
      try unsafe body(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    }
  }

  /// Takes the first bytes, and lends them. Whoever uses them may do with the stream what it likes.
  @inline(__always)
  func lend(_ limit: Int) -> LentBytes {
    if lentEnd > lentStart {
      // Nothing reads into the block before the callback has returned in which the task goes on.
      let bytes = unsafe UnsafeRawBufferPointer(
        start: network.block + lentStart, count: min(limit, lentEnd - lentStart))
      take(bytes.count)
      return unsafe LentBytes(bytes)
    }
    let bytes = LentBytes(held, heldStart..<heldStart + min(limit, heldEnd - heldStart))
    take(bytes.count)
    return bytes
  }

  /// The first of what is there has been used.
  func take(_ count: Int) {
    if lentEnd > lentStart {
      lentStart += count
      if lentStart == lentEnd {
        (lentStart, lentEnd) = (0, 0)
      }
    } else {
      heldStart += count
      if heldStart >= heldEnd { letGo() }
    }
  }

  /// The first bytes, as an array.
  func takeArray(_ limit: Int) -> [UInt8] {
    let bytes = unsafe withBytes { unsafe [UInt8](copying: $0, first: limit) }
    take(bytes.count)
    return bytes
  }

  func takeArray(of piece: StreamPiece) -> [UInt8] {
    let bytes = unsafe withBytes { bytes in
      unsafe [UInt8](copying: UnsafeRawBufferPointer(rebasing: bytes[piece.body]), first: .max)
    }
    take(piece.consumed)
    return bytes
  }

  func append(to buffer: inout [UInt8], _ limit: Int) -> Int {
    let count = unsafe withBytes { bytes in
      let first = unsafe UnsafeRawBufferPointer(rebasing: bytes.prefix(limit))
      unsafe buffer.append(contentsOf: first)
      return first.count
    }
    take(count)
    return count
  }

  private func letGo() {
    if heldEnd > 0 { held = [] }
    (heldStart, heldEnd) = (0, 0)
  }

  /// Copies what is lent behind what is held.
  private func hold() {
    if lentEnd == lentStart { return }
    if heldStart > 0 {
      held.removeSubrange(..<heldStart)
      heldStart = 0
    }
    unsafe held.append(
      contentsOf: UnsafeRawBufferPointer(start: network.block + lentStart, count: lentEnd - lentStart))
    heldEnd = held.count
    (lentStart, lentEnd) = (0, 0)
  }

  /// Puts bytes before all that is there. Who waits gets them.
  func unread(_ bytes: [UInt8]) {
    if bytes.isEmpty { return }
    hold()
    held.replaceSubrange(..<heldStart, with: bytes)
    heldStart = 0
    heldEnd = held.count
    version += 1
    if callbacks != nil { return deliverLater() }
    if !isAwaited { return }
    // Not at once: its caller is somebody's code, which nothing else of the loop's may interrupt.
    isAwaited = false
    wait?.resume()
  }

  func takeHeld() -> [UInt8] {
    hold()
    // A task that waits for more looks at what comes from its beginning.
    version += 1
    defer { letGo() }
    return heldStart == 0 ? held : Array(held[heldStart...])
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
      buffer += more
      return count
    } catch {
      if error.code != .notSupported { ended(error) }
      throw error
    }
  }

  /// Whether a task or callbacks read.
  var isInUse: Bool { isOccupied || callbacks != nil }

  /// Drops what comes, until nothing comes any more; a reader gets its bytes as before.
  func discard(then done: @escaping () -> Void) {
    if end != nil { return done() }
    letGo()
    discarding.append(done)
    do { try flow() } catch { finishDiscarding() }
  }

  private func finishDiscarding() {
    let done = discarding
    discarding = []
    for body in done { body() }
  }

  // MARK: - Callbacks

  func start(_ callbacks: StreamCallbacks) throws(UVError) {
    self.callbacks = callbacks
    if isReady || hasEnded { deliverLater() }
    if hasEnded { return }
    do throws(UVError) { try flow() } catch {
      self.callbacks = nil
      throw error
    }
  }

  /// Nothing is told to callbacks within a call of their owner's.
  private func deliverLater() { core.tell { self.deliver() } }
  /// Tells the callbacks what is there, and the end behind it.
  private func deliver() {
    if let callbacks, isReady { callbacks.receive(lend(.max)) }
    // They may have been stopped, or exchanged for others, which are told by themselves.
    guard hasEnded, !isReady, let callbacks, let end else { return }
    self.callbacks = nil
    switch end {
    case .end: callbacks.end(nil)
    case .failed(let error), .closed(let error): callbacks.end(error)
    }
  }

  func stop() {
    let callbacks = callbacks
    self.callbacks = nil
    _ = consume callbacks
  }
}
