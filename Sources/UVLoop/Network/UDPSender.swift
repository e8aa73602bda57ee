import Synchronization

// A datagram is tried first, and most of them are gone then. Where the kernel has no room it waits here with those that
// come after it, and the handle has one at a time: what that has cannot be taken back.

/// What sends datagrams: a handle of libuv, or a test. On the loop only.
protocol DatagramTransport: AnyObject {
  /// False while there is no room.
  func trySend(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) throws(UVError) -> Bool
  /// Sends it when there is room. Keeps the bytes until it calls `done`, once.
  func send(_ datagram: RequestBuffer, to address: SocketAddress?, done: @escaping (UVError?) -> Void)
}

/// The sending side of a socket. Belongs to the loop's thread, but for what is atomic.
@safe final class UDPSender: @unchecked Sendable {  // Holds because of the line above.
  /// So many go out in one go when there is room again: the loop has others to look after.
  private static let mostAtOnce = 128

  private let loop: LoopCore
  private let transport: any DatagramTransport
  /// Those that have not ended, the first to come first.
  private var queue: [UDPSend] = []
  /// Whether the transport has the first of them.
  private var isUnderWay = false
  private var end: UVError.Code?
  private var budget = StreamBudget()
  private let queued = Atomic(0)

  init(_ loop: LoopCore, _ transport: any DatagramTransport) {
    self.loop = loop
    self.transport = transport
  }

  // MARK: - On any thread

  /// How many bytes wait here.
  var queuedBytes: Int { queued.load(ordering: .relaxed) }

  /// An error, with what to do about it.
  static func explained(
    _ error: UVError, _ name: StaticString, _ count: Int, _ address: SocketAddress?
  ) -> UVError {
    let hint: String? =
      switch error.code {
      case .messageTooLong: "\(count) bytes are more than a datagram can have on its way. Send less at a time."
      case .permissionDenied: "For a broadcast address bind the socket with options.broadcast."
      case .addressFamilyNotSupported, .invalidArgument:
        address.map { "The address is \($0); a socket sends to addresses of the family that it is bound to." }
      case .networkUnreachable, .addressNotAvailable, .noRouteToHost: address.map { "The address is \($0)." }
      default: nil
      }
    return UVError(status: error.code.rawValue, call: UDPCore.call(name), hint: hint)
  }

  // MARK: - On the loop: sending

  /// Whether nothing waits to be sent.
  var isIdle: Bool { queue.isEmpty }

  /// Sends it if there is room. What is to be waited for then; nil if nothing is.
  func begin(_ bytes: [UInt8], _ address: SocketAddress?, _ name: StaticString) throws -> UDPSend? {
    if try unsafe bytes.withUnsafeBytes({ try unsafe trySend($0, address, name) }) {
      let next = budget.after(bytes.count, in: loop.network.iteration)
      budget = next
      if !next.isUsedUp { return nil }
      budget = StreamBudget()
      return UDPSend(yieldOf: self, name)
    }
    let send = UDPSend(bytes, to: address, of: self, name)
    queue.append(send)
    queued.add(bytes.count, ordering: .relaxed)
    pump(hasTried: true)
    return send
  }

  /// False while there is no room, and while others wait for it.
  func trySend(
    _ bytes: UnsafeRawBufferPointer, _ address: SocketAddress?, _ name: StaticString
  ) throws(UVError) -> Bool {
    if let end { throw UDPCore.closedError(end, loop, name) }
    if !queue.isEmpty { return false }
    do throws(UVError) {
      if try unsafe !transport.trySend(bytes, to: address) { return false }
      loop.counters.bytesWritten.add(bytes.count)
      return true
    } catch {
      throw UDPSender.explained(error, name, bytes.count, address)
    }
  }

  /// Goes on until the transport has one, or none is left.
  private func pump(hasTried: Bool = false, behind last: (UDPSend, UVError?)? = nil) {
    var ended = last.map { [$0] } ?? []
    var isTried = hasTried
    while !isUnderWay, let send = queue.first {
      if !isTried && ended.count < UDPSender.mostAtOnce {
        do throws(UVError) {
          if try send.tried(by: transport) {
            loop.counters.bytesWritten.add(send.bytes.count)
            dequeue(send)
            ended.append((send, nil))
            continue
          }
        } catch {
          dequeue(send)
          ended.append((send, error))
          continue
        }
      }
      isTried = false
      hand(over: send)
    }
    // When all is in order: a task may go on at once, and send.
    for (send, error) in ended { send.end(error) }
  }

  private func hand(over send: UDPSend) {
    isUnderWay = true
    let buffer = RequestBuffer(count: send.bytes.count)
    unsafe send.bytes.withUnsafeBytes { bytes in
      if let start = bytes.baseAddress { unsafe buffer.start.copyMemory(from: start, byteCount: bytes.count) }
    }
    // A transport that is closed may keep it for as long as it likes.
    transport.send(buffer, to: send.address) { [weak self] error in self?.settled(error) }
  }

  /// The transport is done with the first one.
  private func settled(_ error: UVError?) {
    isUnderWay = false
    guard end == nil, let send = queue.first else { return }
    if error == nil { loop.counters.bytesWritten.add(send.bytes.count) }
    dequeue(send)
    pump(behind: (send, error))
  }

  private func dequeue(_ send: UDPSend) {
    guard let index = queue.firstIndex(where: { $0 === send }) else { return }
    queue.remove(at: index)
    queued.subtract(send.bytes.count, ordering: .relaxed)
  }

  // MARK: - On the loop: ends

  /// Its caller has gone. One that the transport has goes out all the same.
  func callerIsGone(_ send: UDPSend) {
    if isUnderWay && queue.first === send { return }
    dequeue(send)
  }

  /// The socket closes: what waits is dropped.
  func close(_ code: UVError.Code) {
    if end != nil { return }
    end = code
    let sends = queue
    queue = []
    queued.store(0, ordering: .relaxed)
    for send in sends { send.end(UDPCore.closedError(code, loop, send.name)) }
  }

  /// A shutdown ends the waits with `loopClosed`.
  func releaseWaits() {
    for send in queue { send.release() }
  }
}

/// One datagram for which there was no room. Belongs to the loop's thread.
final class UDPSend: WaitOwner, @unchecked Sendable {  // Holds because of the line above.
  let name: StaticString
  let bytes: [UInt8]
  let address: SocketAddress?
  private let sender: UDPSender
  /// It is sent, and its task only lets the loop go round.
  private let isYield: Bool
  private var wait: LoopWait?
  private var result: UVError??

  init(_ bytes: [UInt8], to address: SocketAddress?, of sender: UDPSender, _ name: StaticString) {
    self.bytes = bytes
    self.address = address
    self.sender = sender
    self.name = name
    isYield = false
  }

  /// For a task that has never had to wait.
  init(yieldOf sender: UDPSender, _ name: StaticString) {
    self.sender = sender
    self.name = name
    bytes = []
    address = nil
    isYield = true
  }

  /// Waits for its end; it is in the queue already.
  func value(on loop: LoopCore) async throws {
    do {
      try await LoopWait(.send, on: loop, owner: self).value(UDPCore.call(name))
    } catch {
      // Cancelled before the wait began, the loop is not told.
      if loop.isCurrent { giveUp() }
      throw error
    }
  }

  /// False while there is no room.
  func tried(by transport: any DatagramTransport) throws(UVError) -> Bool {
    let (bytes, address) = (bytes, address)
    return try unsafe bytes.span.bytes.withUnsafeBytes { (bytes) throws(UVError) -> Bool in
      try unsafe transport.trySend(bytes, to: address)
    }
  }

  func begin(_ wait: LoopWait) {
    if isYield { return wait.resumeLater() }
    switch result {
    case .none: self.wait = wait
    case .some(.none): wait.resume()
    case .some(.some(let error)): wait.resume(throwing: error)
    }
  }

  func withdraw(_ wait: LoopWait) { giveUp() }

  private func giveUp() {
    wait = nil
    if result == nil && !isYield { sender.callerIsGone(self) }
  }

  /// A shutdown ends the wait.
  func release() { wait?.endClosed() }

  func end(_ error: UVError?) {
    if result != nil { return }
    let error = error.map { [.handleClosed, .loopClosed].contains($0.code) ? $0 : explained($0) }
    result = .some(error)
    guard let wait = wait.take() else { return }
    if let error { wait.resume(throwing: error) } else { wait.resumeNow() }
  }

  private func explained(_ error: UVError) -> UVError { UDPSender.explained(error, name, bytes.count, address) }
}
