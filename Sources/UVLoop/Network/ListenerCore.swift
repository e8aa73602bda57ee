// The file is long because a listener that stands alone and a part of a group's are one, with one private state.

import CLibUV
import Synchronization

/// A listener on its loop, or the part of a group's that is on one of its loops. Belongs to the loop's thread, but for
/// what is atomic.
///
/// `Sendable` holds because of the line above.
@safe final class ListenerCore: ConnectionSource, WaitOwner, LoopMember, @unchecked Sendable {
  let loop: LoopCore
  let address: SocketAddress
  let statistics = ListenerCounters()
  /// Where it stands among the loop's listeners, which keep this number.
  var index = -1
  /// When it was made, in nanoseconds of the monotonic clock.
  let since = MonotonicClock.now()
  private let options: ByteStream.Options
  private var engines: [ListenerEngine] = []
  /// Connections that were accepted, and whose options the system has refused.
  private var refused = 0
  /// What sockets have counted that are here no more.
  private var before = (lost: 0, backOffs: 0)
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
  /// The group's listener that this is a part of, for as long as that needs it.
  private(set) var group: GroupListener?
  /// What the loop has of such listeners, which any thread may ask.
  let count: ConnectionCount

  /// The sockets are the listener's from now on, also where this throws.
  init(_ sockets: [ListeningSocket], on loop: LoopCore, _ options: ByteStream.Options) throws(UVError) {
    self.loop = loop
    self.options = options
    address = sockets[0].address
    service = ListenerService(statistics)
    count = loop.network.connections
    try open(sockets)
    loop.network.listeners.add(self)
  }

  /// A part of a group's listener. It gets its connections from others, and sockets where it accepts itself.
  init(of group: GroupListener, on loop: LoopCore) {
    self.loop = loop
    self.group = group
    options = group.options
    address = group.address
    service = ListenerService(statistics)
    count = loop.network.connections
    loop.network.listeners.add(self)
  }

  // MARK: - On any thread

  var isClosed: Bool { hasClosed.load(ordering: .acquiring) || loop.life.state == .stopped }

  func requireOwnProcess() { loop.requireOwnProcess() }

  var totals: ListenerStatistics { statistics.snapshot }

  var owner: String { "loop \"\(loop.name)\"" }

  /// Waits for the next connection.
  func accept() async throws -> ByteStream {
    try await accept(for: .anybody)
  }

  func accept(
    for caller: ListenerService.Caller
  ) async throws -> ByteStream {
    let wait: LoopWait
    // A task that was started on the spot may go on elsewhere, and still hold the wait there.
    if loop.isAtHome, end == nil {
      wait = LoopWait.renew(self.wait, .accept, on: loop, owner: self, caller.rawValue)
      self.wait = wait
    } else {
      wait = LoopWait(.accept, on: loop, owner: self, caller.rawValue)
    }
    try await wait.value("Listener.accept")
    guard let stream = wait.take(ByteStream.self) else { fatalError("UVLoop: a listener has accepted nothing.") }
    return stream
  }

  func close() {
    if hasClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
    loop.onLoop { self.end(self.closedError("Listener.close")) }
  }

  /// The socket, which goes on listening: what connects meanwhile waits in its queue.
  func detach() async throws -> OwnedDescriptor {
    try loop.requireRunning("Listener.detach")
    guard let owner = loop.owner else { throw loop.closedError("Listener.detach") }
    return OwnedDescriptor(owning: try await owner.call { _ in try self.detachSocket() })
  }

  func closedError(_ call: String) -> UVError {
    UVError(
      .handleClosed, call: call,
      "This listener on \(address) has been closed. Listen again with `loop.listen(on:)`.")
  }

  // MARK: - On the loop: what is wanted

  private func open(_ sockets: [ListeningSocket]) throws(UVError) {
    var opened: [ListenerEngine] = []
    for (index, socket) in sockets.enumerated() {
      do throws(UVError) { opened.append(try ListenerEngine(socket, of: self)) } catch {
        for engine in opened { engine.close(by: .owner) }
        for rest in sockets[(index + 1)...] { rest.close() }
        throw error
      }
    }
    engines += opened
  }

  var isAwaited: Bool { !waiters.isEmpty }

  /// Whether a connection is wanted that would be accepted now. `serve` takes all that there are in one go.
  var isWanting: Bool { isAwaited || service.hasRoom(for: ready.count + 1) }

  /// Whether its sockets are to be watched.
  var isWatching: Bool { group?.isWatching(at: self) ?? isAwaited }

  /// Whether to accept now, for somebody who gets it.
  func claim() -> Bool {
    // A loop that is about to end could make no stream of it. Its sockets are closed, or another loop's, in a moment.
    if loop.life != .accepting { return false }
    return group?.claim(at: self) ?? isWanting
  }

  /// Nothing could be accepted.
  func unclaim() { group?.settled() }

  // MARK: - On the loop: accepting

  func begin(_ wait: LoopWait) {
    let isService = wait.argument == ListenerService.Caller.service.rawValue
    if let end, ready.isEmpty || !isService {
      wait.resume(throwing: end.named("Listener.accept"))
    } else if service.isRunning && !isService {
      wait.resume(throwing: ListenerService.busyError)
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
    let connection = AcceptedConnection(
      descriptor: descriptor, peer: peer, listening: engine.socket.address, isWildcard: engine.socket.isWildcard)
    if let group { group.send(connection, from: self) } else { take(connection) }
  }

  /// A connection becomes a stream of this loop.
  private func take(_ connection: AcceptedConnection) {
    guard let stream = stream(over: connection) else { return }
    guard let wait = waiters.popFirst() else { return ready.append(stream) }
    note(wait)
    wait.resumeNow(carrying: stream)
  }

  private func stream(over connection: AcceptedConnection) -> ByteStream? {
    do throws(UVError) {
      let isUnix = connection.listening.family == .unix
      let stream = try ByteStream.make(connection.descriptor, isUnix: isUnix, on: loop, options, connection.addresses)
      statistics.accepted.add()
      loop.counters.accepts.add()
      return stream
    } catch {
      // Of one connection, and no reason to end the others.
      refused += 1
      publish()
      service.fail(connection.peer, error)
      return nil
    }
  }

  /// It gets a connection, which counts from now on if it is `serve`'s.
  private func note(_ wait: LoopWait) {
    if wait.argument == ListenerService.Caller.service.rawValue { service.serveBegan() }
    group?.settled()
  }

  /// A connection of `serve`'s has ended.
  func serveEnded() {
    service.serveEnded()
    group?.placeIsFree()
  }

  /// Shows what the sockets have counted.
  func publish() {
    statistics.failed.set(engines.reduce(refused + before.lost) { $0 + $1.lost })
    statistics.backOffs.set(engines.reduce(before.backOffs) { $0 + $1.backOffs })
  }

  private func forgetEngines() {
    for engine in engines {
      before.lost += engine.lost
      before.backOffs += engine.backOffs
    }
    engines = []
  }

  // MARK: - On the loop: the end

  /// The loop shuts down: nobody comes in any more. Who waits is let go with all other waits.
  func quiesce() {
    if end == nil, let group {
      group.partEnded(self, leaving: detachAll())
      // No handler has them: another loop's will.
      let streams = ready
      ready = []
      for stream in streams { group.give(stream) }
    }
    stop(loop.closedError("Listener.close"))
    closeReady()
    leaveIfOver()
  }

  /// `serve` begins to take connections.
  func serviceStarts(_ limit: Int, _ onFailure: (@Sendable (SocketAddress?, any Error) -> Void)?) throws {
    try service.start(limit, onFailure)
    if let group { ready += group.begins(at: self) }
  }

  /// `serve` takes no more connections. What it has left is for who accepts next, where anybody can.
  func serviceStopped() {
    service.stopTaking()
    if let group {
      let streams = ready
      ready = []
      for stream in streams { group.give(stream) }
    }
    if end != nil { closeReady() }
  }

  /// `serve` has ended.
  func serviceEnded() {
    service.stop()
    leaveIfOver()
  }

  /// A shutdown has to find it for as long as `serve` waits for what it has open.
  private func leaveIfOver() {
    if end == nil || service.isRunning { return }
    // After the loop's end there is no list any more.
    if index >= 0 { loop.network.listeners.remove(self) }
    group = nil
  }

  private func closeReady() {
    let streams = ready
    ready = []
    for stream in streams {
      stream.close()
      group?.settled()
    }
  }

  /// The listening socket is of no more use.
  func fail(_ error: UVError) {
    if let group { return group.fail(error) }
    if end == nil { failure = error }
    end(error)
  }

  func end(_ error: UVError) {
    if !stop(error) { return }
    while let wait = waiters.popFirst() { wait.resume(throwing: error.named("Listener.accept")) }
    service.acceptingEnded()
    leaveIfOver()
  }

  /// False if it had ended before.
  @discardableResult
  private func stop(_ error: UVError) -> Bool {
    if end != nil { return false }
    end = error
    hasClosed.store(true, ordering: .releasing)
    // What was accepted for `serve` is served.
    if !service.isTaking { closeReady() }
    for engine in engines { engine.close(by: .owner) }
    forgetEngines()
    // It keeps this one.
    wait = nil
    return true
  }

  func releaseWaits() {
    while let wait = waiters.popFirst() { wait.endClosed() }
    service.releaseWaits()
  }

  private func detachSocket() throws -> Int32 {
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
    let descriptor = engines[0].detachSocket().detach()
    end(closedError("Listener.detach"))
    return descriptor
  }

  /// The one descriptor, or the first.
  func descriptor(_ call: String) throws(UVError) -> Int32 {
    try loop.requireOnLoop(call)
    if let end { throw end.named(call) }
    return engines[0].socket.descriptor
  }
}

// MARK: - On the loop: as a part of a group's

extension ListenerCore {
  /// Where it accepts itself.
  var socketCount: Int { engines.count }

  /// A connection that this loop or another one has accepted.
  func take(_ connection: AcceptedConnection, of group: GroupListener) {
    leaveIfStopping()
    if end != nil { return group.sendOn(connection, from: self) }
    guard let stream = stream(over: connection) else {
      count.remove()
      return group.settled()
    }
    stream.inner.countConnection()
    hand(on: stream, of: group)
  }

  /// A stream of this loop that somebody else had no use for.
  func take(_ stream: ByteStream, of group: GroupListener) {
    leaveIfStopping()
    if end == nil { hand(on: stream, of: group) } else { group.give(stream) }
  }

  private func hand(on stream: ByteStream, of group: GroupListener) {
    if let wait = waiters.popFirst() {
      note(wait)
      // In the callback of a socket, where it is this loop's; else behind what is queued.
      wait.resumeNow(carrying: stream)
    } else if service.isTaking || group.isExpected(at: self) {
      ready.append(stream)
    } else {
      group.give(stream)
    }
  }

  /// Sockets that were another loop's, or nobody's yet.
  func accept(from sockets: [ListeningSocket], for group: GroupListener) {
    leaveIfStopping()
    if end != nil { return group.partEnded(self, leaving: sockets) }
    do throws(UVError) {
      try open(sockets)
      group.accepts(at: self)
    } catch {
      group.socketsEnded(sockets.count)
      group.fail(error)
    }
  }

  /// A loop that was told to end is over for the group, also before it comes to say so.
  private func leaveIfStopping() {
    if loop.isCurrent && loop.life != .accepting { loop.shutdown.quiesce() }
  }

  /// Somebody wants connections.
  func goOn() {
    do throws(UVError) { try watch() } catch { fail(error) }
  }

  /// Ends accepting, and nothing else: what is on its way here comes.
  func closeSockets() {
    let count = engines.count
    for engine in engines { engine.close(by: .owner) }
    forgetEngines()
    group?.socketsEnded(count)
  }

  /// They go on listening, and are nobody's.
  func detachAll() -> [ListeningSocket] {
    let sockets = engines.map { $0.detachSocket() }
    forgetEngines()
    return sockets
  }
}
