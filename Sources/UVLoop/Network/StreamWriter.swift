// The file is long because the queue, the state and the slice that is under way change together.

import Synchronization

// open ──a write is cut──▶ torn        open ──finishWriting──▶ finishing ──▶ finished
//   │                                    any ──an error──▶ failed    any ──a close──▶ closed, for ever
//
// A write is tried first, and most of them are done then. Of the rest one slice at a time is copied and given to the
// transport, and behind it the next is tried from the caller's own bytes again. What the transport has cannot be taken
// back.

/// The writing side of a stream. Belongs to the loop's thread, but for what is atomic.
// Holds because of the line above.
@safe final class StreamWriter: IdleLimited, @unchecked Sendable {
  /// A writer that waits holds a copy of no more than this.
  static let sliceSize = 16_384
  /// A write that has begun goes out whole if no more than this is left of it, whatever becomes of its caller.
  static let wholeSize = 65_536
  /// So much goes below in one go, however much the kernel would take: the loop has others to look after.
  private static let mostAtOnce = 1 << 20

  private enum State {
    case open, torn, finishing, finished
    case failed(UVError)
    case closed(UVError.Code)
  }

  // What a write asks for each time is in variables that are only ever assigned: one that a method changes in place is
  // looked after at run time, at each use.

  private let loop: LoopCore
  private let transport: any StreamTransport
  /// What it shares with the other streams of the loop.
  let network: LoopNetwork
  private let reader: StreamReader
  private let typeName: StaticString
  /// Behind the end, which only waits for what is queued, writing goes on.
  private let isEndless: Bool
  private var state = State.open { didSet { publish() } }
  /// Those that have not ended, the first to come first.
  private var queue: [StreamWrite] = []
  /// How many of them have been handed out.
  private var first = 0
  /// How many there are.
  private var waiting = 0
  /// Whether the transport has a slice, or the end.
  private var isUnderWay = false
  private var budget = StreamBudget()
  private(set) var limit: StreamLimit?
  private let total = Atomic<Int64>(0)
  private let queued = Atomic<Int>(0)
  /// What a write would be refused with, or 0. For `enqueue`, on any thread.
  private let refusal = Atomic<Int32>(0)

  /// - Parameter reader: The other side, which is told of a reset.
  init(_ loop: LoopCore, _ transport: any StreamTransport, _ typeName: StaticString, beside reader: StreamReader) {
    self.loop = loop
    self.transport = transport
    self.reader = reader
    self.typeName = typeName
    network = loop.networkAnywhere
    isEndless = !transport.endsWriting
  }

  // MARK: - On any thread

  /// How many bytes have gone below.
  var bytes: Int64 { total.load(ordering: .relaxed) }

  /// How many bytes wait here.
  var queuedBytes: Int { max(0, queued.load(ordering: .relaxed)) }

  /// Counts what is about to be added, or was not.
  func noteQueued(_ count: Int) { queued.add(count, ordering: .relaxed) }

  /// The same for what is added only while no more than `limit` bytes are queued. False if more are.
  func noteQueued(_ count: Int, within limit: Int) -> Bool {
    if queued.add(count, ordering: .relaxed).oldValue <= limit { return true }
    noteQueued(-count)
    return false
  }

  func call(_ name: StaticString) -> String { "\(typeName).\(name)" }

  /// Whether a write would be refused.
  var isRefusing: Bool { refusal.load(ordering: .relaxed) != 0 }

  /// What a write is refused with; nil while it may write.
  func refusedAnywhere(_ name: StaticString) -> UVError? {
    let code = UVError.Code(rawValue: refusal.load(ordering: .acquiring))
    switch code.rawValue {
    case 0: return nil
    case UVError.Code.tornWrite.rawValue: return StreamWriter.torn(call(name))
    case UVError.Code.brokenPipe.rawValue: return StreamWriter.finished(call(name))
    default: return StreamCore.closedError(code, typeName, loop, call(name))
    }
  }

  private static func torn(_ call: String) -> UVError {
    UVError(
      .tornWrite, call: call,
      """
      An earlier write was cut in the middle when its task was cancelled, or its limit was over, and whatever followed \
      would be taken for its rest. Close the stream. Writes of at most 64 KiB are never cut.
      """)
  }

  private static func finished(_ call: String) -> UVError {
    UVError(.brokenPipe, call: call, "finishWriting was called before: nothing can follow the end.")
  }

  // MARK: - On the loop: whether it may write

  /// Before each use.
  @inline(__always)
  func requireOpen(_ name: StaticString) throws {
    network.arrivals.take()
    try WaitScope.checkCancellation()
    try loop.requireRunning(call(name))
    if isRefusing, let error = refused(name) { throw error }
  }

  /// Whether no byte moves any more, whatever is called.
  private var isOver: Bool {
    switch state {
    case .open, .torn, .finishing, .finished: false
    case .failed, .closed: true
    }
  }

  /// A write was cut, and what follows would be taken for its rest.
  var isTorn: Bool { if case .torn = state { true } else { false } }

  func refused(_ name: StaticString) -> UVError? {
    switch state {
    case .open: nil
    case .failed(let error): error.named(call(name))
    case .closed(let code): StreamCore.closedError(code, typeName, loop, call(name))
    case .torn: StreamWriter.torn(call(name))
    case .finishing, .finished: StreamWriter.finished(call(name))
    }
  }

  private func publish() {
    let code: UVError.Code? =
      switch state {
      case .open: nil
      case .torn: .tornWrite
      case .finishing, .finished: .brokenPipe
      case .failed(let error): error.code
      case .closed(let code): code
      }
    refusal.store(code?.rawValue ?? 0, ordering: .releasing)
  }

  // MARK: - On the loop: writing

  private var isFree: Bool { waiting == 0 }

  /// Whether nothing is queued, here or by another thread, and nobody waits.
  var isIdle: Bool { isFree && queuedBytes == 0 }

  /// One thread writes it.
  @inline(__always)
  private func noteSent(_ count: Int) {
    total.store(total.load(ordering: .relaxed) &+ Int64(count), ordering: .relaxed)
    loop.counters.bytesWritten.add(count)
    if count > 0 { limit?.note() }
  }

  /// How much of it is taken at once; 0 where others wait.
  @inline(__always)
  private func attempt(_ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(UVError) -> Int {
    if !isFree { return 0 }
    do throws(UVError) {
      let sent = try unsafe tryBelow(parts, by: transport)
      noteSent(sent)
      return sent
    } catch {
      fail(error)
      throw error
    }
  }

  /// A reader that is as fast as this would keep a longer one here.
  @inline(__always)
  private func tryBelow(
    _ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>, by outlet: any StreamOutlet,
    atMost limit: Int = StreamWriter.mostAtOnce
  ) throws(UVError) -> Int {
    var count = 0
    var total = 0
    while count < parts.count, total <= limit {
      unsafe total += parts[count].count
      count += 1
    }
    if total <= limit { return try unsafe outlet.tryWrite(parts) }
    return try unsafe tryFirst(parts, count - 1, limit, by: outlet)
  }

  /// The first so many of them, or a part of the first one.
  @inline(never)
  private func tryFirst(
    _ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>, _ count: Int, _ limit: Int, by outlet: any StreamOutlet
  ) throws(UVError) -> Int {
    if count > 0 { return try unsafe outlet.tryWrite(UnsafeBufferPointer(rebasing: parts[..<count])) }
    let first = unsafe UnsafeRawBufferPointer(rebasing: parts[0].prefix(limit))
    return try unsafe withUnsafePointer(to: first) { (part) throws(UVError) -> Int in
      unsafe try outlet.tryWrite(UnsafeBufferPointer(start: part, count: 1))
    }
  }

  private func attempt(_ bytes: UnsafeRawBufferPointer) throws(UVError) -> Int {
    try unsafe withUnsafePointer(to: bytes) { (part) throws(UVError) -> Int in
      unsafe try attempt(UnsafeBufferPointer(start: part, count: 1))
    }
  }

  /// Sends what can be sent now. What is to be waited for then; nil if nothing is.
  @inline(never)
  func begin(_ bytes: [UInt8], _ name: StaticString) throws -> StreamWrite? {
    try requireOpen(name)
    let sent = bytes.isEmpty ? 0 : try unsafe bytes.withUnsafeBytes { try unsafe attempt($0) }
    return rest(of: [bytes], bytes.count, sent, name)
  }

  /// The same of several pieces.
  @inline(never)
  func begin(_ parts: [[UInt8]], _ name: StaticString) throws -> StreamWrite? {
    try requireOpen(name)
    let total = parts.reduce(0) { $0 + $1.count }
    let sent = total == 0 ? 0 : try unsafe parts.withPointers { unsafe try attempt($0) }
    return rest(of: parts, total, sent, name)
  }

  /// Queues a write whose first byte a courier takes. It is made when nothing refuses the write.
  func begin(
    _ bytes: [UInt8], _ name: StaticString, by courier: () throws(UVError) -> StreamCourier
  ) throws -> StreamWrite {
    try requireOpen(name)
    let write = StreamWrite(name, [bytes], isTried: false, by: try courier(), of: self)
    noteQueued(bytes.count)
    append(write)
    return write
  }

  /// Begins the end, behind what is queued.
  @inline(never)
  func beginEnd(_ name: StaticString) throws -> StreamWrite {
    try Task.checkCancellation()
    try loop.requireRunning(call(name))
    switch state {
    case .finishing, .finished:
      throw UVError(.socketNotConnected, call: call(name), "finishWriting was called before: there is one end.")
    default: if let error = refused(name) { throw error }
    }
    let end = StreamWrite(endOf: self, name)
    appendEnd(end)
    return end
  }

  /// The same for who does not wait. Where the end was begun before, that is no error.
  func end(_ done: @escaping (UVError?) -> Void) {
    switch state {
    case .finished: done(nil)
    case .finishing:
      // The end is the last one, since nothing is let in behind it.
      queue.last?.whenEnded(done)
    default: appendEnd(StreamWrite(endOf: self, "finishWriting", onEnd: done))
    }
  }

  /// Other threads are refused before what they have queued is taken: of none that was taken the bytes come too late.
  private func appendEnd(_ end: StreamWrite) {
    if !isRefusing && !isEndless { refusal.store(UVError.Code.brokenPipe.rawValue, ordering: .releasing) }
    network.arrivals.takeAll()
    append(end)
  }

  func tryWrite(_ bytes: UnsafeRawBufferPointer, _ name: StaticString) throws(UVError) -> Int {
    network.arrivals.take()
    try loop.requireRunning(call(name))
    if isRefusing, let error = refused(name) { throw error }
    return unsafe bytes.isEmpty ? 0 : try attempt(bytes)
  }

  @inline(__always)
  private func rest(
    of parts: @autoclosure () -> [[UInt8]], _ total: Int, _ sent: Int, _ name: StaticString
  ) -> StreamWrite? {
    if sent == total {
      let next = budget.after(total, in: network.iteration)
      budget = next
      if !next.isUsedUp { return nil }
      budget = StreamBudget()
      return StreamWrite(yieldOf: self, name)
    }
    let write = StreamWrite(name, parts(), sent: sent, isTried: isFree, of: self)
    noteQueued(total - sent)
    append(write)
    return write
  }

  /// Adds one behind the others. What it has left counts as queued already.
  func append(_ write: StreamWrite) {
    if let error = refused(write.name) {
      noteQueued(-write.rest)
      write.letGo()
      return write.end(error)
    }
    if write.isEnd && !isEndless { state = .finishing }
    queue.append(write)
    waiting += 1
    if !isUnderWay { pump() }
  }

  /// Goes on until the transport has something, or nothing is left.
  private func pump() {
    var sentNow = 0
    while !isUnderWay, first < queue.count {
      let write = queue[first]
      if write.isEnd { return finish() }
      if write.rest == 0 {
        dequeue(write, nil)
        continue
      }
      if !write.isTried && sentNow < StreamWriter.mostAtOnce {
        do throws(UVError) {
          let limit = StreamWriter.mostAtOnce - sentNow
          let sent = try unsafe write.withRest { (parts) throws(UVError) -> Int in
            unsafe try tryBelow(parts, by: write.courier ?? transport, atMost: limit)
          }
          if sent > 0 {
            sentNow += sent
            advance(write, sent)
            continue
          }
        } catch {
          if refuse(write, error) { continue }
          return fail(error)
        }
      }
      // Behind the slice, for which others had their turn, it is tried again.
      write.tryAgain()
      send(write)
    }
  }

  private func send(_ write: StreamWrite) {
    let slice = write.slice(transport.sliceSize)
    isUnderWay = true
    let outlet: any StreamOutlet = write.courier ?? transport
    unsafe outlet.write(UnsafeRawBufferPointer(start: slice.start, count: slice.count)) { error in
      // The slice is kept until now.
      let count = slice.count
      self.isUnderWay = false
      if let error { return self.refuse(write, error) ? self.pump() : self.fail(error) }
      if self.isOver { return }
      self.advance(write, count)
      if write.isCut && write.rest > 0 { return self.tear() }
      self.pump()
    }
  }

  /// Whether the kernel has refused the descriptor alone: nothing of this write has gone, and others can.
  private func refuse(_ write: StreamWrite, _ error: UVError) -> Bool {
    if isOver || write.courier == nil || !error.isOfDescriptor { return false }
    // It was to be cut behind its first slice, which has not gone either.
    if write.isCut { state = .open }
    noteQueued(-write.rest)
    dequeue(write, error.named(call(write.name)))
    return true
  }

  private func advance(_ write: StreamWrite, _ sent: Int) {
    write.advance(sent)
    noteSent(sent)
    noteQueued(-sent)
  }

  private func finish() {
    isUnderWay = true
    transport.finishWriting { error in
      self.isUnderWay = false
      if let error { return self.fail(error) }
      if self.isOver { return }
      if !self.isEndless { self.state = .finished }
      self.dequeue(self.queue[self.first], nil)
      if self.isEndless { self.pump() }
    }
  }

  /// Takes the first one out of the queue.
  private func dequeue(_ write: StreamWrite, _ error: UVError?) {
    first += 1
    waiting -= 1
    // The list may keep it for a while.
    write.letGo()
    if first == queue.count {
      queue.removeAll(keepingCapacity: first <= 16)
      first = 0
    } else if first > 64 && first > queue.count / 2 {
      queue.removeFirst(first)
      first = 0
    }
    write.end(error)
  }

  // MARK: - On the loop: ends

  /// Its caller has gone: cancelled, or its limit is over.
  func callerIsGone(_ write: StreamWrite) {
    guard let index = queue[first...].firstIndex(where: { $0 === write }) else { return }
    if write.isEnd {
      // What has begun goes on, and somebody else may want it too.
      if index == first && isUnderWay || write.isWatched { return }
      remove(index)
      if case .finishing = state { state = .open }
    } else if write.sent == 0 && !(index == first && isUnderWay) {
      remove(index)
      noteQueued(-write.rest)
      write.noteWithdrawn()
    } else if write.rest > StreamWriter.wholeSize {
      // No more of it is sent, and what follows would be taken for the rest.
      write.cut()
      if !isUnderWay { tear() } else { state = .torn }
    }
  }

  private func remove(_ index: Int) {
    queue.remove(at: index).letGo()
    waiting -= 1
  }

  private func tear() {
    state = .torn
    endAll { StreamWriter.torn(self.call($0.name)) }
  }

  /// The transport has failed, and with it all that waits.
  private func fail(_ error: UVError) {
    if isOver { return }
    if transport.isLasting { state = .failed(error) }
    if error.code == .connectionReset { reader.wasReset(error) }
    endAll { error.named(self.call($0.name)) }
  }

  /// The stream closes: what is queued is dropped.
  func close(_ code: UVError.Code) {
    limit?.end()
    limit = nil
    state = .closed(code)
    endAll { StreamCore.closedError(code, self.typeName, self.loop, self.call($0.name)) }
  }

  private func endAll(_ error: (StreamWrite) -> UVError) {
    let writes = queue[first...]
    queue = []
    first = 0
    waiting = 0
    for write in writes {
      noteQueued(-write.rest)
      write.letGo()
      write.end(error(write))
    }
  }

  /// A shutdown ends the waits with `loopClosed`.
  func releaseWaits() {
    for write in queue[first...] { write.release() }
  }

  // MARK: - On the loop: the idle limit

  var waitingSince: Int64? { queue[first...].lazy.filter(\.isAwaited).map(\.since).min() }

  /// Somebody begins to wait: when.
  func waitBegins() -> Int64 {
    limit?.begin()
    return loop.time.now
  }

  func setLimit(_ span: Duration?) {
    limit?.end()
    limit = span.map { StreamLimit(loop, $0, of: self) }
  }

  func expire(_ limit: Duration) {
    let now = loop.time.now
    for write in Array(queue[first...]) where write.isAwaited && write.since.later(by: limit) <= now {
      callerIsGone(write)
      write.end(
        UVError(
          .timedOut, call: call(write.name),
          "The peer has taken no byte for \(limit.text), the limit in timeouts.write."))
    }
  }
}
