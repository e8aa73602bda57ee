import Synchronization

// nobody ──receive──▶ waiting ──a datagram──▶ (the task takes it) ──▶ nobody
//    any ──a close──▶ closed, for ever
//
// Receiving goes on between two calls. What comes while nobody waits is held, up to a number. When so many are there
// the handle gets no room for the next one and is stopped before the poll; it goes on when half of them have been
// taken, since to stop and to go on costs a system call each.

/// The receiving side of a socket. Belongs to the loop's thread, but for what is atomic.
// Holds because the waits call it on the loop's thread alone.
@safe final class UDPReceiver: WaitOwner, @unchecked Sendable {
  private let loop: LoopCore
  private let engine: UDPEngine
  private let network: LoopNetwork
  private let maximumSize: Int
  private let capacity: Int

  /// The wait of a task that receives again and again.
  private var wait: LoopWait?
  /// Whether it is under way. Nobody else keeps it: while a task goes on in `received` it is renewed for the next call.
  private var isAwaited: Bool {
    get { awaited.load(ordering: .relaxed) }
    set { awaited.store(newValue, ordering: .relaxed) }
  }
  private let awaited = Atomic(false)
  /// A task receives, also when it is about to go on.
  private var isOccupied = false
  /// Whether the handle knows that datagrams are wanted.
  private var isFlowing = false
  /// The one that lies in the loop's block right now.
  private var lent: Lent?
  /// What has come and was not taken, from `first` on.
  private var held: [Datagram] = []
  private var first = 0
  private let count = Atomic(0)
  /// What came back of an earlier datagram, for the next call.
  private var failure: UVError?
  private var end: UVError.Code?
  private var budget = StreamBudget()

  private struct Lent {
    let count: Int
    let peerAddress: SocketAddress
    let isTruncated: Bool
  }

  init(_ loop: LoopCore, _ engine: UDPEngine, _ options: UDPSocket.Options) {
    self.loop = loop
    self.engine = engine
    network = loop.network
    maximumSize = min(options.maximumSize, LoopNetwork.blockSize)
    capacity = options.capacity
  }

  // MARK: - On any thread

  /// Whether a task waits.
  var hasWaiter: Bool { isAwaited }

  /// How many datagrams are held.
  var heldCount: Int { count.load(ordering: .relaxed) }

  // MARK: - On the loop: waiting

  private var isEmpty: Bool { lent == nil && first == held.count }

  /// Waits until a datagram is there, which is taken before the next `await`.
  @inline(__always)
  func waitForDatagram(_ name: StaticString) async throws {
    // To have them all without a wait is no reason to keep others from the loop.
    var isYield = try !begin(name)
    while isYield || isEmpty {
      // It may have been closed behind the datagram for which the task was resumed.
      if let end { throw UDPCore.closedError(end, loop, name) }
      // At one place, since each has its share of the task's memory.
      try await wait(isYield, name)
      isYield = false
    }
  }

  /// False where the loop has to go round first.
  @inline(never)
  private func begin(_ name: StaticString) throws -> Bool {
    try WaitScope.checkCancellation()
    try loop.requireRunning(UDPCore.call(name))
    if let end { throw UDPCore.closedError(end, loop, name) }
    if isOccupied {
      throw UVError(
        .busy, call: UDPCore.call(name), "Another task receives from this UDPSocket. One can at a time.")
    }
    if let failure = takeFailure() { throw failure.named(UDPCore.call(name)) }
    if isEmpty { return true }
    let next = budget.after(1, in: network.iteration)
    budget = next
    return !next.isUsedUp
  }

  @inline(__always)
  private func wait(_ isYield: Bool, _ name: StaticString) async throws {
    isOccupied = true
    defer { isOccupied = false }
    let wait = LoopWait.renew(self.wait, .receive, on: loop, owner: self, isYield ? 0 : 1)
    self.wait = wait
    try await wait.value(UDPCore.call(name))
  }

  /// Its argument is 0 for one that only lets the loop go round.
  func begin(_ wait: LoopWait) {
    if wait.argument == 0 {
      budget = StreamBudget()
      return wait.resumeLater()
    }
    isAwaited = true
    do throws(UVError) { try flow() } catch { resume(throwing: error) }
  }

  func withdraw(_ wait: LoopWait) { isAwaited = false }

  private func flow() throws(UVError) {
    if isFlowing { return }
    try engine.startReceiving(into: self)
    isFlowing = true
  }

  private func resume(throwing error: UVError) {
    if !isAwaited { return }
    isAwaited = false
    wait?.resume(throwing: error)
  }

  // MARK: - On the loop: what comes

  /// Whether somebody waits for what comes. On virtual time only then may a socket hold it.
  var isWaiting: Bool { isAwaited }

  /// Where the next one goes; nil while nobody wants any.
  func room() -> UnsafeMutableRawBufferPointer? {
    if isAwaited || heldCount < capacity {
      return unsafe UnsafeMutableRawBufferPointer(start: network.block, count: maximumSize)
    }
    isFlowing = false
    return nil
  }

  /// The handle does not bring anything any more, until it is started again.
  func stopped() { isFlowing = false }

  /// One lies in the loop's block. The task that waits goes on before this returns, if it can.
  @inline(__always)
  func received(_ count: Int, from peer: SocketAddress, isTruncated: Bool) {
    loop.counters.bytesRead.add(count)
    lent = Lent(count: count, peerAddress: peer, isTruncated: isTruncated)
    if isAwaited {
      isAwaited = false
      // Holds because the wait is kept by the task that waits at it.
      if let wait { unsafe Unmanaged.passUnretained(wait)._withUnsafeGuaranteedRef { $0.resumeNow() } }
    }
    if lent != nil { hold() }
  }

  /// Something came back. As in the kernel, one is kept, for the next call.
  func failed(_ error: UVError) {
    if isAwaited { resume(throwing: error.named(UDPCore.call("receive"))) } else { failure = error }
  }

  func takeFailure() -> UVError? { failure == nil ? nil : failure.take() }

  // MARK: - On the loop: taking

  /// The first one, as a value.
  func take() -> Datagram {
    if let lent {
      self.lent = nil
      let bytes = unsafe UnsafeRawBufferPointer(start: network.block, count: lent.count)
      return Datagram(
        bytes: unsafe [UInt8](copying: bytes, first: lent.count), peerAddress: lent.peerAddress,
        isTruncated: lent.isTruncated)
    }
    return takeHeld()
  }

  /// The same without a copy. Nothing is received into the block before the callback has returned in which the task
  /// goes on.
  func lend() -> LentDatagram {
    if let lent {
      self.lent = nil
      let bytes = unsafe LentBytes(UnsafeRawBufferPointer(start: network.block, count: lent.count))
      return LentDatagram(bytes: bytes, peerAddress: lent.peerAddress, isTruncated: lent.isTruncated)
    }
    return LentDatagram(takeHeld())
  }

  private func takeHeld() -> Datagram {
    let datagram = held[first]
    held[first].bytes = []
    first += 1
    if first == held.count {
      held.removeAll(keepingCapacity: held.count <= 64)
      first = 0
    } else if first > 64 && first > held.count / 2 {
      held.removeFirst(first)
      first = 0
    }
    let left = held.count - first
    count.store(left, ordering: .relaxed)
    // What cannot be received now fails in the call that waits for it.
    if !isFlowing && end == nil && left <= capacity / 2 { try? flow() }
    return datagram
  }

  private func hold() {
    held.append(take())
    count.store(held.count - first, ordering: .relaxed)
  }

  // MARK: - On the loop: the end

  /// From now on everything throws this.
  func close(_ code: UVError.Code) {
    if end != nil { return }
    end = code
    isFlowing = false
    (lent, failure) = (nil, nil)
    held = []
    first = 0
    count.store(0, ordering: .relaxed)
    resume(throwing: UDPCore.closedError(code, loop, "receive"))
    // It keeps this one.
    wait = nil
  }

  /// A shutdown ends the wait with `loopClosed`.
  func releaseWaits() {
    if !isAwaited { return }
    isAwaited = false
    wait?.endClosed()
  }
}

/// A datagram that is lent: in the loop's block, or in an array of its own.
@usableFromInline
struct LentDatagram {
  @usableFromInline let bytes: LentBytes
  @usableFromInline let peerAddress: SocketAddress
  @usableFromInline let isTruncated: Bool

  init(bytes: LentBytes, peerAddress: SocketAddress, isTruncated: Bool) {
    self.bytes = bytes
    self.peerAddress = peerAddress
    self.isTruncated = isTruncated
  }

  init(_ datagram: Datagram) {
    self.init(
      bytes: LentBytes(datagram.bytes, 0..<datagram.bytes.count), peerAddress: datagram.peerAddress,
      isTruncated: datagram.isTruncated)
  }
}
