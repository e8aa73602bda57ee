// The file is long because all that the loops of a group share stands here, private and under one lock.
//
// What comes of a connection:
//
//   wanted ──accept──▶ coming ──message──▶ a stream of the loop that was chosen ──▶ in serve, or a task's in accept
//                        ▲                    │
//                        └── that loop ends ──┘   to another one; where there is none it is closed
//
//   open ──close, failure, the last loop ends──▶ ending ──no socket is open and no connection is coming──▶ over
//
// Until it is over its parts go on to take what comes to them. So nothing that was accepted is lost by a close, on
// whatever thread. Each part is a ``ListenerCore``, which serves its loop's connections as one that stands alone.

/// The listener of several loops: who accepts, for whom, and until when.
///
/// Whatever changes is guarded by `lock`. Nobody is called under it, and no message sent.
final class GroupListener: ConnectionSource, WaitOwner, @unchecked Sendable {  // Holds because of the line above.
  let address: SocketAddress
  let options: ByteStream.Options
  private let distribution: EventLoopGroup.Distribution
  /// One a loop, in the order of the loops. Set once, before anybody may end.
  private(set) var parts: [ListenerCore] = []

  private let lock = Lock()
  /// Before, a loop that ends takes nothing along.
  private var hasBegun = false
  /// Those whose loops have not begun to end.
  private var live: [ListenerCore] = []
  /// Those that accept.
  private var acceptors: [ListenerCore] = []
  /// Those of them that were told that nobody wants a connection, and watch nothing until somebody does.
  private var resting: [ListenerCore] = []
  /// Listening sockets that have not been closed, watched ones and those on their way to another loop.
  private var sockets = 0
  /// Connections that are wanted or accepted, and that nobody has yet.
  private var coming = 0
  /// Which of the loops is asked first, of several that have as few.
  private var nextPart = 0
  private var isServing = false
  /// It takes connections still: it was not cancelled.
  private var isTaking = false
  /// Where `serve` has not begun yet, though it has elsewhere. What comes there waits for it.
  private var unbegun: [ListenerCore] = []
  private var limit = Int.max
  private var queue = AcceptQueue()
  /// Why it accepts no more.
  private var end: UVError?
  /// The same, where a listening socket itself has failed.
  private var failure: UVError?
  private var isOver = false

  init(_ address: SocketAddress, _ options: ByteStream.Options, _ distribution: EventLoopGroup.Distribution) {
    self.address = address
    self.options = options
    self.distribution = distribution
  }

  /// Begins to listen at these sockets, the first at the first part, and so on. They are the listener's from now on.
  func begin(_ parts: [ListenerCore], with sockets: [[ListeningSocket]]) -> GroupListener {
    lock.withLock {
      self.parts = parts
      live = parts
      hasBegun = true
      self.sockets = sockets.reduce(0) { $0 + $1.count }
    }
    for (part, sockets) in zip(parts, sockets) {
      if !part.loop.onLoop({ part.accept(from: sockets, for: self) }) { move(sockets) }
    }
    for rest in sockets.dropFirst(parts.count) { move(rest) }
    return self
  }

  // MARK: - On any thread: facts

  var isClosed: Bool { lock.withLock { end != nil } }

  var isAwaited: Bool { lock.withLock { isServing || queue.isAwaited } }

  // MARK: - On any thread: who wants connections

  /// Under the lock.
  private var isWanting: Bool {
    if end != nil { return false }
    return isServing ? isTaking && places > queue.count : queue.awaited > coming
  }

  /// How many more connections `serve` has room for. Under the lock. A handler that ends on another loop says so
  /// afterwards; see ``placeIsFree()``.
  private var places: Int {
    limit == .max ? .max : parts.reduce(limit - coming) { $0 - $1.statistics.open.value }
  }

  /// Whether a part is to watch its sockets. Where not it is told when it is.
  func isWatching(at part: ListenerCore) -> Bool { lock.withLock { isWanting || rest(part) } }

  /// Whether a part is to accept a connection now. Then it is coming until ``settled()``.
  func claim(at part: ListenerCore) -> Bool {
    lock.withLock {
      if !isWanting { return rest(part) }
      coming += 1
      return true
    }
  }

  /// Under the lock. Always false.
  private func rest(_ part: ListenerCore) -> Bool {
    if !resting.contains(where: { $0 === part }) { resting.append(part) }
    return false
  }

  /// Somebody has the connection, or there is none.
  func settled() {
    change { coming -= 1 }
    // It may have been counted twice for a moment, and somebody been told that there is no room.
    placeIsFree()
  }

  /// There may be room: a handler has ended, for one. What an earlier `serve` has left goes first.
  func placeIsFree() {
    let left = lock.withLock { () -> (stream: ByteStream, part: ListenerCore)? in
      guard isServing, isTaking, end == nil, places > 0 else { return nil }
      let left = queue.takeFirst { stream in
        part(of: stream).flatMap { part in unbegun.contains { $0 === part } ? nil : part }
      }
      if left != nil { coming += 1 }
      return left.map { ($0.stream, $0.use) }
    }
    if let left { serve(left.stream, at: left.part) } else { wake() }
  }

  /// Under the lock; nil where its loop takes no more connections.
  private func part(of stream: ByteStream) -> ListenerCore? { live.first { $0.loop === stream.inner.loop } }

  /// Calls those that rest, if somebody wants a connection.
  private func wake() {
    let parts = lock.withLock { () -> [ListenerCore] in
      if resting.isEmpty || !isWanting { return [] }
      defer { resting = [] }
      return resting
    }
    for part in parts { part.loop.onLoop { part.goOn() } }
  }

  // MARK: - On any thread: where a connection goes

  /// One whose loop ends.
  func sendOn(_ connection: AcceptedConnection, from part: ListenerCore) {
    part.count.remove()
    forget(part)
    send(connection)
  }

  private func send(_ connection: AcceptedConnection) {
    while let part = choose() {
      if part.loop.isCurrent { return part.take(connection, of: self) }
      if part.loop.enqueue({ part.take(connection, of: self) }) { return }
      part.count.remove()
      forget(part)
    }
    Posix.close(connection.descriptor)
    settled()
  }

  /// The loop with the fewest connections, which has one more now.
  private func choose() -> ListenerCore? {
    lock.withLock {
      var (best, fewest) = (-1, Int.max)
      for offset in live.indices {
        let index = (nextPart + offset) % live.count
        let count = live[index].count.value
        if count < fewest { (best, fewest) = (index, count) }
      }
      if best < 0 { return nil }
      nextPart = (best + 1) % live.count
      live[best].count.add()
      return live[best]
    }
  }

  // MARK: - On any thread: accept

  func accept() async throws -> ByteStream {
    requireOwnProcess()
    while true {
      let (core, isCallers) = try host("Listener.accept")
      let wait = LoopWait(.accept, on: core, owner: self)
      do {
        try await wait.value("Listener.accept")
      } catch let error as UVError where error.code == .loopClosed && !isCallers {
        // The wait of one loop is as good as another's.
        continue
      }
      guard let stream = wait.take(ByteStream.self) else { fatalError("UVLoop: a listener has accepted nothing.") }
      return stream
    }
  }

  /// The caller's own loop, or any of the group.
  private func host(_ call: String) throws -> (LoopCore, isCallers: Bool) {
    if let part = parts.first(where: { $0.loop.isCurrent }) { return (part.loop, true) }
    return try lock.withLock {
      if let end { throw end.named(call) }
      if let part = live.first(where: { $0.loop.life == .accepting }) { return (part.loop, false) }
      throw EventLoopGroup.closedError(call)
    }
  }

  /// A connection that `serve` does not take: for who accepts, now or next. On its loop.
  func give(_ stream: ByteStream) {
    let isKept = lock.withLock {
      if end != nil || part(of: stream) == nil { return false }
      queue.append(stream)
      return true
    }
    if !isKept { return sendOn(stream) }
    callWaiters()
    settled()
  }

  /// One whose loop ends, and that nobody has: to another one. On its loop.
  private func sendOn(_ stream: ByteStream) {
    guard stream.inner.loop.isCurrent, !isClosed, let connection = stream.release(at: address) else {
      stream.close()
      return settled()
    }
    // The next one counts it.
    parts.first { $0.loop.isCurrent }?.statistics.accepted.add(-1)
    stream.inner.loop.counters.accepts.add(-1)
    send(connection)
  }

  /// Those for whom there are connections.
  private func callWaiters() {
    while let wait = lock.withLock({ queue.nextToCall() }) {
      if !wait.loop.onLoop({ self.hand(to: wait) }) { lock.withLock { queue.callFailed() } }
    }
  }

  /// One that was called, on its loop. It may have been cancelled, or ended with the loop; and `serve` have begun.
  private func hand(to wait: LoopWait) {
    let (stream, refusal) = lock.withLock { () -> (ByteStream?, UVError?) in
      if let end {
        queue.callFailed()
        return (nil, end.named("Listener.accept"))
      }
      let stream = queue.take(for: wait)
      if stream != nil || wait.end != nil { return (stream, nil) }
      if isServing { return (nil, ListenerService.busyError) }
      queue.append(wait)
      return (nil, nil)
    }
    if let stream {
      wait.resume(carrying: stream)
    } else if let refusal {
      wait.resume(throwing: refusal)
    } else {
      callWaiters()
      placeIsFree()
    }
  }

  /// Whether `serve` is about to begin at a part.
  func isExpected(at part: ListenerCore) -> Bool { lock.withLock { unbegun.contains { $0 === part } } }

  /// It begins there. What an earlier one has left of that loop is its, as far as there is room.
  func begins(at part: ListenerCore) -> [ByteStream] {
    lock.withLock {
      unbegun.removeAll { $0 === part }
      let streams = queue.take(of: part.loop, max(0, places))
      coming += streams.count
      return streams
    }
  }

  // MARK: - On any thread: serve

  func serve(
    _ limit: Int, _ closeTimeout: Duration, _ onFailure: (@Sendable (SocketAddress?, any Error) -> Void)?,
    _ body: @Sendable @escaping (isolated EventLoop, ByteStream) async throws -> Void
  ) async throws {
    requireOwnProcess()
    try beginServing(limit)
    defer {
      lock.withLock {
        isServing = false
        unbegun = []
      }
      wake()
    }
    wake()
    let errors = await withTaskCancellationHandler {
      await serveAll(closeTimeout, onFailure, body)
    } onCancel: {
      // It waits for its handlers, and who connects meanwhile in the kernel's queue.
      lock.withLock { isTaking = false }
    }
    if let failure = lock.withLock({ failure }) { throw failure.named("Listener.serve") }
    if let error = errors.first(where: { !($0 is UVError) }) { throw error }
    // A loop that is shut down ends its connections, and the others go on.
    if errors.count == parts.count, let error = errors.first { throw error }
  }

  private func beginServing(_ limit: Int) throws(UVError) {
    let call = "Listener.serve"
    try lock.withLock { () throws(UVError) in
      if let end { throw end.named(call) }
      if isServing { throw UVError(.busy, call: call, "serve runs at this listener already.") }
      if queue.isAwaited {
        throw UVError(.busy, call: call, "Somebody waits in accept at this listener. Use one or the other.")
      }
      isServing = true
      isTaking = true
      unbegun = parts
      self.limit = limit
    }
  }

  // MARK: - On any thread: a loop comes, or goes

  /// The loop of a part shuts down. What waits at its sockets, or at those that were on their way to it, is another
  /// loop's from now on.
  func partEnded(_ part: ListenerCore, leaving sockets: [ListeningSocket]) {
    forget(part)
    move(sockets)
  }

  /// Its loop takes no more connections.
  private func forget(_ part: ListenerCore) {
    var streams: [ByteStream] = []
    let isLast = lock.withLock {
      live.removeAll { $0 === part }
      acceptors.removeAll { $0 === part }
      resting.removeAll { $0 === part }
      streams = queue.take(of: part.loop)
      coming += streams.count
      return hasBegun && live.isEmpty
    }
    if isLast { conclude(EventLoopGroup.closedError("Listener.close")) }
    for stream in streams { sendOn(stream) }
  }

  /// To the loop with the fewest connections.
  private func move(_ sockets: [ListeningSocket]) {
    if sockets.isEmpty { return }
    while let part = lock.withLock({ end == nil ? live.min { $0.count.value < $1.count.value } : nil }) {
      if part.loop.enqueue({ part.accept(from: sockets, for: self) }) { return }
      forget(part)
    }
    for socket in sockets { socket.close() }
    socketsEnded(sockets.count)
  }

  // MARK: - On any thread: the end

  func close() {
    // In the child of a fork the lock may be somebody's who is not there.
    if parts.allSatisfy({ $0.loop.isOwnProcess }) { conclude(closedError("Listener.close")) }
  }

  func fail(_ error: UVError) { conclude(error, isFailure: true) }

  /// Ends accepting. What was accepted for `serve` is served.
  private func conclude(_ error: UVError, isFailure: Bool = false) {
    var (waits, streams, parts) = (Waiters(), [ByteStream](), [ListenerCore]())
    change {
      if end != nil { return }
      end = error
      if isFailure { failure = error }
      (waits, streams) = queue.takeAll()
      swap(&parts, &acceptors)
    }
    while let wait = waits.popFirst() {
      wait.loop.onLoop { wait.resume(throwing: error.named("Listener.accept")) }
    }
    for stream in streams { stream.close() }
    for part in parts { part.loop.onLoop { part.closeSockets() } }
  }

  func socketsEnded(_ count: Int) { change { sockets -= count } }

  /// Changes something, and ends the parts if nothing can come to them any more.
  private func change(_ body: () -> Void) {
    let isOver = lock.withLock {
      body()
      if self.isOver || end == nil || sockets > 0 || coming > 0 { return false }
      self.isOver = true
      return true
    }
    if !isOver { return }
    let error = closedError("Listener.close")
    for part in parts { part.loop.enqueue { part.end(error) } }
  }

  /// One socket is somebody's to have; of several none is all of it.
  func detach() async throws -> OwnedDescriptor {
    requireOwnProcess()
    while true {
      guard let part = try acceptorToDetach(), let owner = part.loop.owner else {
        throw EventLoopGroup.closedError("Listener.detach")
      }
      if let number = try await owner.call({ _ in try self.detach(at: part) }) {
        return OwnedDescriptor(owning: number)
      }
    }
  }

  private func acceptorToDetach() throws(UVError) -> ListenerCore? {
    try lock.withLock { () throws(UVError) in
      let call = "Listener.detach"
      if let end { throw end.named(call) }
      // `serve` ends as it does after a close.
      if !isServing && (queue.isAwaited || coming > 0) {
        throw UVError(.busy, call: call, "Somebody accepts at this listener. End that first.")
      }
      if !queue.isEmpty {
        throw UVError(
          .busy, call: call,
          "\(queue.count) connections were accepted when serve ended, and nobody has them. Accept them first.")
      }
      if sockets != 1 {
        throw UVError(
          .notSupported, call: call,
          "This listener has \(sockets) sockets, and one can be handed out. Listen on a single address, and with "
            + "`.leastConnections`.")
      }
      // While the socket is on its way to a loop none accepts. Each asks anew.
      return acceptors.first ?? live.first
    }
  }

  // MARK: - On the loop of a part, or of a wait

  /// One that a part has accepted, in the callback of its socket.
  func send(_ connection: AcceptedConnection, from part: ListenerCore) {
    if distribution == .leastConnections { return send(connection) }
    part.count.add()
    part.take(connection, of: self)
  }

  func begin(_ wait: LoopWait) {
    var refusal: UVError?
    let stream = lock.withLock { () -> ByteStream? in
      if let end {
        refusal = end.named("Listener.accept")
      } else if isServing {
        refusal = ListenerService.busyError
      } else if let stream = queue.next() {
        return stream
      } else {
        queue.append(wait)
      }
      return nil
    }
    if let refusal {
      wait.resume(throwing: refusal)
    } else if let stream {
      wait.resume(carrying: stream)
    } else {
      // The loop's shutdown ends it, though another loop may be the one that accepts.
      wait.loop.waits.add(wait)
      wake()
    }
  }

  func withdraw(_ wait: LoopWait) { lock.withLock { queue.remove(wait) } }

  /// A part has sockets now.
  func accepts(at part: ListenerCore) {
    let (isEnding, isWanted) = lock.withLock {
      if !acceptors.contains(where: { $0 === part }) { acceptors.append(part) }
      return (end != nil, isWanting || rest(part))
    }
    if isEnding { part.closeSockets() } else if isWanted { part.goOn() }
  }

  /// Nil if it does not accept any more, so that another one does.
  private func detach(at part: ListenerCore) throws(UVError) -> Int32? {
    if try acceptorToDetach() !== part || part.socketCount != 1 { return nil }
    let socket = part.detachAll()[0]
    conclude(closedError("Listener.detach"))
    socketsEnded(1)
    return socket.detach()
  }

  /// That of the loop on which it is called.
  func descriptor(_ call: String) throws(UVError) -> Int32 {
    if let end = lock.withLock({ end }) { throw end.named(call) }
    guard let part = parts.first(where: { $0.loop.isCurrent }) else {
      throw UVError(
        .notOnLoop, call: call,
        "\(call) must be called on one of this listener's loops, and was called on \(ThreadIdentity.current).")
    }
    try part.loop.requireRunning(call)
    if part.socketCount > 0 { return try part.descriptor(call) }
    let names = lock.withLock { acceptors }.map { "\"\($0.loop.name)\"" }
    throw UVError(
      .notOnLoop, call: call,
      "Loop \"\(part.loop.name)\" does not accept for this listener. Call it on loop \(names.joined(separator: ", ")).")
  }
}
