import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Everything that a task can wait for on a loop, for laws that hold for all of it.
enum Waiting: String, CaseIterable, CustomTestStringConvertible, Sendable {
  case sleep, tick, promise, signal, clockAdvance, timeLimit, abandonableCall, readiness, handleClose, offload
  case read, write, accept, connect, receive, send

  var testDescription: String { rawValue }

  /// Those whose task goes on at once when it is cancelled.
  static let cancellable = allCases.filter { $0 != .offload }
  /// Those that a shutdown ends with `loopClosed`. What it does itself, it awaits: a handle is closed, and a call ends.
  static let closable = allCases.filter { $0 != .handleClose && $0 != .offload && $0 != .abandonableCall }
  /// Those that may begin off the loop.
  static let anywhere: [Waiting] = [
    .sleep, .tick, .signal, .timeLimit, .abandonableCall, .offload, .read, .write, .accept, .receive, .send,
  ]
}

/// Waits for one thing, and makes it come. Its loop needs a virtual time.
actor WaitStage: LoopActor {
  nonisolated let loop: EventLoop
  nonisolated let waiting: Waiting
  private let pair = SocketPair()
  private let mayEnd = Event("the end of the call")
  private let signal = SpareSignals.next()
  private var promise: Promise<Void>?
  private var poll: PollHandle?
  private var idle: IdleHandle?
  private var timer: TimerHandle?
  private var stream: PipeStream?
  private var peer: PlainSocket?
  private var listener: TCPListener?
  private var socket: UDPSocket?
  private var sending: FullDatagrams?
  private var datagrams: PlainDatagrams?
  /// Of a connect: one that does not answer, and one that is tried later.
  private var addresses: [SocketAddress] = []
  private var answering: PlainListener?
  private var silent: SilentListener?

  init(_ waiting: Waiting, on loop: EventLoop) {
    self.loop = loop
    self.waiting = waiting
  }

  /// What must be there before.
  func prepare() async throws {
    switch waiting {
    case .promise, .timeLimit: promise = try Promise()
    case .readiness: poll = try PollHandle(descriptor: pair.watched)
    case .handleClose: timer = try TimerHandle()
    case .clockAdvance:
      // While it is started the loop is never done with what is ready.
      idle = try IdleHandle()
      try idle?.start {}
    case .read, .write:
      let (ours, peer) = try PlainSocket.pair()
      stream = try PipeStream(adopting: OwnedDescriptor(owning: ours.release()))
      self.peer = peer
      if waiting == .write { try stream?.fill() }
    case .accept: listener = try await loop.listen(on: .loopback(port: 0))
    case .connect:
      let (silent, answering) = (try SilentListener(), try PlainListener())
      addresses = [try silent.address, .loopback(port: answering.port)]
      (self.silent, self.answering) = (silent, answering)
    case .receive, .send:
      let (socket, sending) = try UDPSocket.full(on: loop)
      (self.socket, self.sending) = (socket, sending)
      datagrams = try PlainDatagrams()
    default: break
    }
  }

  /// On the loop.
  func wait() async throws {
    switch waiting {
    case .promise: try await promise?.value()
    case .readiness: try await poll?.wait(for: .readable)
    case .handleClose: if await timer?.closed() == false { throw CancellationError() }
    case .clockAdvance: try await loop.advance(by: .seconds(1))
    case .timeLimit: try await loop.withTimeout(.seconds(3_600)) { try await promise?.value() }
    case .sleep: try await loop.sleep(for: .seconds(1))
    case .tick: try await Self.require(try loop.ticks(every: .seconds(1)))
    case .signal: try await Self.require(try loop.signals(signal))
    case .abandonableCall: _ = try await loop.offload(onCancel: .abandon) { [mayEnd] in mayEnd.waitBlocking() }
    case .offload: _ = try await loop.offload { [mayEnd] in mayEnd.waitBlocking() }
    case .read: _ = try await stream?.read()
    case .write: try await stream?.write([1])
    case .accept: _ = try await listener?.accept()
    case .connect: _ = try await loop.probe.connect(to: addresses)
    case .receive: _ = try await socket?.receive()
    case .send: try await socket?.send([1], to: datagrams?.address.address)
    }
  }

  /// Where the caller is, for what may be waited for anywhere.
  nonisolated func waitHere() async throws {
    switch waiting {
    case .sleep: try await loop.sleep(for: .seconds(1))
    case .tick: try await Self.require(try loop.ticks(every: .seconds(1)))
    case .signal: try await Self.require(try loop.signals(signal))
    case .timeLimit: try await loop.withTimeout(.seconds(3_600)) { try await loop.sleep(for: .seconds(1)) }
    case .abandonableCall: _ = try await loop.offload(onCancel: .abandon) { [mayEnd] in mayEnd.waitBlocking() }
    case .offload: _ = try await loop.offload { [mayEnd] in mayEnd.waitBlocking() }
    case .read: _ = try await stream?.read()
    case .write: try await stream?.write([1])
    case .accept: _ = try await listener?.accept()
    case .receive: _ = try await socket?.receive()
    case .send: try await socket?.send([1], to: datagrams?.address.address)
    default: preconditionFailure("\(waiting) belongs to the loop")
    }
  }

  /// Sequences end where others throw.
  private static func require<Elements: AsyncSequence>(_ elements: Elements) async throws
  where Elements.AsyncIterator: AsyncIteratorProtocol {
    var iterator = elements.makeAsyncIterator()
    if try await iterator.next(isolation: #isolation) == nil { throw CancellationError() }
  }

  /// Whether somebody waits. Of what may come before the wait as well, that does not matter.
  var hasBegun: Bool {
    let probe = loop.probe
    return switch waiting {
    case .sleep, .tick, .connect: probe.timers > 0
    case .promise, .signal: probe.waits > 0
    case .timeLimit: probe.timers > 0 && probe.timers + probe.waits > 1
    case .clockAdvance: probe.isAdvancing
    case .readiness: probe.hasAwaitedHandle
    case .read: stream?.inner.reader.isAwaited == true
    case .write: stream.map { $0.inner.writer.waitingSince != nil } == true
    case .accept: probe.listeners.contains { $0.isAwaited }
    case .receive: socket?.inner.receiver.hasWaiter == true
    case .send: sending?.hasDatagram == true
    case .handleClose, .abandonableCall, .offload: true
    }
  }

  /// Makes what is waited for come.
  func complete() async throws {
    switch waiting {
    case .promise: promise?.resume(returning: ())
    case .timeLimit:
      promise?.resume(returning: ())
      try await loop.advance(by: .seconds(1))
    case .readiness: pair.feed()
    case .handleClose: timer?.close()
    case .clockAdvance: idle?.stop()
    case .sleep, .tick: try await loop.advance(by: .seconds(1))
    case .signal: pthread_kill(pthread_self(), signal.rawValue)
    case .abandonableCall, .offload: mayEnd.signal()
    case .read: try peer?.sendAll([7])
    case .write: try peer?.drain()
    case .accept: if let port = listener?.address.port { peer = try PlainSocket(connectingTo: .ipv4(port: port)) }
    // Then the next address is tried.
    case .connect: try await loop.advanceToNextDeadline()
    case .receive: if let socket { try datagrams?.send([7], to: socket.localAddress.plain) }
    case .send: sending?.makeRoom()
    }
  }

  /// Lets go of what would go on for ever.
  func end() {
    mayEnd.signal()
    idle?.stop()
    stream?.close()
    listener?.close()
    socket?.close()
  }
}
