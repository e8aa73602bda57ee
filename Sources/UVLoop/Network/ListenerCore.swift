import CLibUV
import Synchronization

/// A listener on its loop. Belongs to the loop's thread, but for what is atomic.
@safe final class ListenerCore: WaitOwner, LoopMember, @unchecked Sendable {  // Holds because of the line above.
  let loop: LoopCore
  let address: SocketAddress
  let statistics = ListenerCounters()
  /// Where it stands among the loop's listeners, which keep this number.
  var place = -1
  /// When it was made, in nanoseconds of the monotonic clock.
  let since = MonotonicClock.now()
  private let options: ByteStream.Options
  private var engines: [ListenerEngine] = []
  /// Connections that were accepted, and whose options the system has refused.
  private var refused = 0
  private var waiters = Waiters()
  /// The wait of a task that accepts again and again.
  private var wait: LoopWait?
  /// Accepted, and nobody has them yet; the first to come first.
  private var ready: [ByteStream] = []
  /// Why it accepts no more.
  private var end: UVError?
  /// The same, where the listening socket itself has failed.
  private(set) var failure: UVError?
  let service: ListenerService
  private let hasClosed = Atomic(false)

  /// The sockets are the listener's from now on, also where this throws.
  init(_ sockets: [ListeningSocket], on loop: LoopCore, _ options: ByteStream.Options) throws(UVError) {
    self.loop = loop
    self.options = options
    address = sockets[0].address
    service = ListenerService(statistics)
    for (index, socket) in sockets.enumerated() {
      do throws(UVError) { engines.append(try ListenerEngine(socket, of: self)) } catch {
        for engine in engines { engine.close(by: .owner) }
        for rest in sockets[(index + 1)...] { rest.close() }
        throw error
      }
    }
    loop.network.listeners.add(self)
  }

  var isClosed: Bool { hasClosed.load(ordering: .acquiring) || loop.life == .stopped }

  var isAwaited: Bool { !waiters.isEmpty }

  /// Whether a connection is wanted that would be accepted now. `serve` takes all that there are in one go.
  var isWanting: Bool { isAwaited || service.hasRoom(for: ready.count + 1) }

  /// How many wait for a connection.
  var waiterCount: Int { waiters.count }

  // MARK: - Accepting

  /// Waits for the next connection.
  func accept() async throws -> ByteStream {
    try await accept(for: .anybody)
  }

  func accept(
    for caller: ListenerService.Caller
  ) async throws -> ByteStream {
    let wait: LoopWait
    if loop.isCurrent, end == nil {
      wait = LoopWait.renew(self.wait, .accept, on: loop, owner: self, caller.rawValue)
      self.wait = wait
    } else {
      wait = LoopWait(.accept, on: loop, owner: self, caller.rawValue)
    }
    try await wait.value("Listener.accept")
    guard let stream = wait.take(ByteStream.self) else { fatalError("UVLoop: a listener has accepted nothing.") }
    return stream
  }

  func begin(_ wait: LoopWait) {
    let isService = wait.argument == ListenerService.Caller.service.rawValue
    if let end, ready.isEmpty || !isService {
      wait.resume(throwing: end.named("Listener.accept"))
    } else if service.isRunning && !isService {
      wait.resume(
        throwing: UVError(
          .busy, call: "Listener.accept", "serve accepts the connections of this listener. Use one or the other."))
    } else if !ready.isEmpty {
      note(wait)
      wait.resume(carrying: ready.removeFirst())
    } else {
      waiters.append(wait)
      do throws(UVError) { try watch() } catch {
        waiters.remove(wait)
        wait.resume(throwing: error)
      }
    }
  }

  func withdraw(_ wait: LoopWait) {
    waiters.remove(wait)
    // The list may keep it for a while, as one that has ended.
    if self.wait === wait { self.wait = nil }
  }

  private func watch() throws(UVError) { for engine in engines { try engine.watch() } }

  /// In the callback of a socket: the next connection of it.
  func give(_ descriptor: Int32, _ peer: SocketAddress?, _ engine: ListenerEngine) {
    var addresses = StreamAddresses(local: engine.socket.address, peer: peer)
    if engine.socket.isWildcard { addresses.local = ListeningSocket.localAddress(of: descriptor) }
    let stream: ByteStream
    do throws(UVError) {
      let isUnix = engine.socket.address.family == .unix
      stream = try loop.stream(descriptor, isUnix: isUnix, options, addresses)
    } catch {
      // Of one connection, and no reason to end the others.
      refused += 1
      publish()
      return service.fail(peer, error)
    }
    statistics.accepted.add()
    loop.counters.accepts.add()
    guard let wait = waiters.popFirst() else { return ready.append(stream) }
    note(wait)
    wait.resumeNow(carrying: stream)
  }

  /// It gets a connection, which counts from now on if it is `serve`'s.
  private func note(_ wait: LoopWait) {
    if wait.argument == ListenerService.Caller.service.rawValue { service.enter() }
  }

  /// Shows what the sockets have counted.
  func publish() {
    statistics.failed.set(engines.reduce(refused) { $0 + $1.lost })
    statistics.backOffs.set(engines.reduce(0) { $0 + $1.backOffs })
  }

  // MARK: - The end

  func close() {
    if hasClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
    loop.onLoop { self.end(self.closedError("Listener.close")) }
  }

  /// The loop shuts down: nobody comes in any more. Who waits is let go with all other waits.
  func quiesce() {
    stop(loop.closedError("Listener.close"))
    closeReady()
  }

  /// `serve` takes no more connections. What it has left is for who accepts next, where anybody can.
  func serviceStopped() {
    service.stopTaking()
    if end != nil { closeReady() }
  }

  /// `serve` has ended.
  func serviceEnded() {
    service.stop()
    leaveIfOver()
  }

  /// A shutdown has to find it for as long as `serve` waits for what it has open.
  private func leaveIfOver() {
    if end != nil && !service.isRunning { loop.network.listeners.remove(self) }
  }

  private func closeReady() {
    let streams = ready
    ready = []
    for stream in streams { stream.close() }
  }

  func closedError(_ call: String) -> UVError {
    UVError(
      .handleClosed, call: call,
      "This listener on \(address) has been closed. Listen again with `loop.listen(on:)`.")
  }

  /// The listening socket is of no more use.
  func fail(_ error: UVError) {
    if end == nil { failure = error }
    end(error)
  }

  func end(_ error: UVError) {
    if !stop(error) { return }
    while let wait = waiters.popFirst() { wait.resume(throwing: error.named("Listener.accept")) }
    service.acceptingEnded()
  }

  /// False if it had ended before.
  @discardableResult
  private func stop(_ error: UVError) -> Bool {
    if end != nil { return false }
    end = error
    hasClosed.store(true, ordering: .releasing)
    leaveIfOver()
    // What was accepted for `serve` is served.
    if !service.isTaking { closeReady() }
    for engine in engines { engine.close(by: .owner) }
    engines = []
    // It keeps this one.
    wait = nil
    return true
  }

  func releaseWaits() {
    while let wait = waiters.popFirst() { wait.close() }
    service.releaseWaits()
  }

  /// The socket, which goes on listening: what connects meanwhile waits in its queue.
  func detach() throws -> Int32 {
    if let end { throw end.named("Listener.detach") }
    // `serve` ends as it does after a close.
    if isAwaited && !service.isRunning {
      throw UVError(.busy, call: "Listener.detach", "Somebody accepts at this listener. End that first.")
    }
    if !ready.isEmpty && !service.isTaking {
      throw UVError(
        .busy, call: "Listener.detach",
        "\(ready.count) connections were accepted when serve ended, and nobody has them. Accept them first.")
    }
    guard engines.count == 1 else {
      throw UVError(
        .notSupported, call: "Listener.detach",
        "This listener has \(engines.count) sockets, and one can be handed out. Listen on a single address.")
    }
    let descriptor = engines[0].detach()
    end(closedError("Listener.detach"))
    return descriptor
  }

  /// The one descriptor, or the first.
  func descriptor(_ call: String) throws(UVError) -> Int32 {
    if let end { throw end.named(call) }
    return engines[0].socket.descriptor
  }
}
