import Synchronization

// Who owns what:
//   ByteStream    the face, of which any thread may drop the last reference: then the stream closes
//   StreamCore    what the face has of the loop: its two sides, what moves their bytes, the end. Kept by the face, by
//                 the loop's list of streams until it has closed, and by whatever waits
//   transport     kept by the core; it knows the reading side as its sink, until it is closed

/// A stream on its loop. Belongs to the loop's thread, but for what is atomic.
@safe final class StreamCore: LoopMember, @unchecked Sendable {  // Holds because of the line above.
  let loop: LoopCore
  let typeName: StaticString
  let transport: any StreamTransport
  let reader: StreamReader
  let writer: StreamWriter
  let addresses: StreamAddresses
  /// From which `enqueue` takes no more.
  let writeQueueLimit: Int
  /// Where it stands among the loop's streams, which keep this number.
  var index = -1
  /// When it was made, in nanoseconds of the monotonic clock.
  let since = MonotonicClock.now()
  private let hasClosed = Atomic(false)
  /// The same, of what only the loop's thread sees: the transport is closed.
  private var isOver = false
  /// Whether it is one of its loop's connections of a group's listener.
  private var isCounted = false
  private let readLimit = Atomic<Int64>(.max)
  private let writeLimit = Atomic<Int64>(.max)

  init(
    _ typeName: StaticString, over transport: any StreamTransport, on loop: LoopCore, _ options: ByteStream.Options,
    _ addresses: StreamAddresses, passing engine: PassingEngine? = nil
  ) {
    self.loop = loop
    self.typeName = typeName
    self.transport = transport
    self.addresses = addresses
    writeQueueLimit = options.writeQueueLimit
    reader = StreamReader(loop, transport, typeName)
    writer = StreamWriter(loop, transport, typeName, beside: reader)
    if let engine { reader.receive(by: engine) }
    if loop.isCurrent { loop.network.streams.add(self) } else { loop.enqueue { self.join() } }
    if options.timeouts != .init() { timeouts = options.timeouts }
  }

  // MARK: On any thread

  /// The kind and its two ends.
  var text: String { addresses.text.map { "\(typeName) \($0)" } ?? "\(typeName)" }

  func call(_ name: StaticString) -> String { "\(typeName).\(name)" }

  var isClosed: Bool { hasClosed.load(ordering: .acquiring) || loop.life.state == .stopped }

  var timeouts: ByteStream.Timeouts {
    get {
      func span(_ limit: borrowing Atomic<Int64>) -> Duration? {
        let nanoseconds = limit.load(ordering: .relaxed)
        return nanoseconds == .max ? nil : .nanoseconds(nanoseconds)
      }
      return ByteStream.Timeouts(read: span(readLimit), write: span(writeLimit))
    }
    set {
      readLimit.store(newValue.read?.saturatingNanoseconds ?? .max, ordering: .relaxed)
      writeLimit.store(newValue.write?.saturatingNanoseconds ?? .max, ordering: .relaxed)
      loop.onLoop {
        if self.isClosed { return }
        self.reader.setLimit(newValue.read)
        self.writer.setLimit(newValue.write)
      }
    }
  }

  /// Any number of times.
  func close(resetting: Bool = false) {
    if hasClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
    // On the loop without a closure, which would be a block of memory for each connection.
    if loop.isCurrent { return closeNow(.handleClosed, resetting: resetting) }
    loop.enqueue { self.closeNow(.handleClosed, resetting: resetting) }
  }

  static func closedError(_ code: UVError.Code, _ typeName: StaticString, _ loop: LoopCore, _ call: String) -> UVError {
    switch code {
    case .loopClosed: loop.closedError(call)
    case .handleClosed:
      UVError(
        .handleClosed, call: call,
        "This \(typeName) of loop \"\(loop.name)\" has been closed. Connect or accept a new one."
      )
    default: UVError(status: code.rawValue, call: call, hint: "An earlier write has failed with it.")
    }
  }

  // MARK: On the loop

  /// A group's listener counts it, until it closes.
  func countConnection() { isCounted = true }

  /// One that was made elsewhere has come to its loop.
  private func join() {
    if isOver { return }
    if loop.life == .accepting { loop.network.streams.add(self) } else { closeByLoop() }
  }

  private func closeNow(_ code: UVError.Code, resetting: Bool) {
    // The loop's shutdown may have come before a message from another thread.
    if isOver { return }
    isOver = true
    transport.close(resetting: resetting)
    loop.network.streams.remove(self)
    if isCounted { loop.network.connections.remove() }
    writer.close(code)
    reader.close(code)
  }

  /// The loop's shutdown closes what is left.
  func closeByLoop() {
    hasClosed.store(true, ordering: .releasing)
    closeNow(.loopClosed, resetting: false)
  }

  func releaseWaits() {
    reader.releaseWaits()
    writer.releaseWaits()
  }
}

/// The two ends of a connection.
struct StreamAddresses {
  var local: SocketAddress?
  var peer: SocketAddress?

  /// As far as they are known: `127.0.0.1:80 > 127.0.0.1:50000`.
  var text: String? {
    let ends = [local, peer].compactMap { $0.map(String.init(describing:)) }
    return ends.isEmpty ? nil : ends.joined(separator: " > ")
  }
}

extension StreamAddresses {
  /// As the system says.
  init(of descriptor: Int32) {
    var (local, peer): (SocketAddress?, SocketAddress?)
    _ = unsafe Socket.withLocalAddress(of: descriptor) { unsafe local = try? SocketAddress(unsafeBytes: $0) }
    _ = unsafe Socket.withPeerAddress(of: descriptor) { unsafe peer = try? SocketAddress(unsafeBytes: $0) }
    self.init(local: local, peer: peer)
  }
}
