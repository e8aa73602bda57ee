/// What `serve` has open at a listener, and who waits for that. Belongs to the loop's thread.
@safe final class ListenerService: WaitOwner, @unchecked Sendable {  // Holds because of the line above.
  /// Who accepts.
  enum Caller: Int64 { case anybody, service }

  private let statistics: ListenerCounters
  private(set) var isRunning = false
  /// It takes connections still: it was not cancelled.
  private(set) var isTaking = false
  private(set) var open = 0
  private var limit = Int.max
  private var onFailure: (@Sendable (SocketAddress?, any Error) -> Void)?
  /// `serve` itself, when all places are taken, or nothing is accepted any more.
  private var server: LoopWait?
  private var hasAcceptingEnded = false
  private var isCancelled = false
  private var drains: [ListenerDrain] = []

  init(_ statistics: ListenerCounters) { self.statistics = statistics }

  /// For who accepts while it runs.
  static var busyError: UVError {
    UVError(.busy, call: "Listener.accept", "serve accepts the connections of this listener. Use one or the other.")
  }

  func start(_ limit: Int, _ onFailure: (@Sendable (SocketAddress?, any Error) -> Void)?) throws {
    if isRunning {
      throw UVError(.busy, call: "Listener.serve", "serve runs at this listener already.")
    }
    isRunning = true
    isTaking = true
    self.limit = limit
    self.onFailure = onFailure
  }

  /// It takes no more, and waits for those that are open.
  func stopTaking() { isTaking = false }

  func stop() {
    isRunning = false
    onFailure = nil
    finishDrains()
  }

  func fail(_ peer: SocketAddress?, _ error: any Error) { onFailure?(peer, error) }

  // MARK: - Places

  var hasRoom: Bool { open < limit }

  /// Whether `serve` takes so many more connections.
  func hasRoom(for count: Int) -> Bool { isTaking && count <= limit - open }

  func serveBegan() {
    open += 1
    statistics.open.set(open)
  }

  func serveEnded() {
    open -= 1
    statistics.open.set(open)
    if hasAcceptingEnded ? open == 0 : hasRoom { server.take()?.resume() }
    if open == 0 { finishDrains() }
  }

  /// Waits for room, or, when nothing is accepted any more, until all have ended. True if those that are open are to be
  /// cancelled.
  func wait(on loop: LoopCore) async throws -> Bool {
    let wait = LoopWait(.accept, on: loop, owner: self)
    try await wait.value("Listener.serve")
    return isCancelled
  }

  func begin(_ wait: LoopWait) {
    if isCancelled || (hasAcceptingEnded ? open == 0 : hasRoom) { wait.resume() } else { server = wait }
  }

  func withdraw(_ wait: LoopWait) { server = nil }

  /// The listener is closed.
  func acceptingEnded() {
    hasAcceptingEnded = true
    if open == 0 { server.take()?.resume() }
  }

  func releaseWaits() { server.take()?.endClosed() }

  // MARK: - Draining

  /// Cancels those that are open.
  func cancel() {
    isCancelled = true
    server.take()?.resume()
  }

  func add(_ drain: ListenerDrain) -> Bool {
    if open == 0 && !isRunning { return false }
    drains.append(drain)
    return true
  }

  func remove(_ drain: ListenerDrain) { drains.removeAll { $0 === drain } }

  private func finishDrains() {
    if isRunning { return }
    let ended = drains
    drains = []
    for drain in ended { drain.finish() }
  }
}

/// One who waits for what `serve` has open. Belongs to the loop's thread, but any thread may make one.
@safe final class ListenerDrain: WaitOwner, LoopDeadline, @unchecked Sendable {  // Holds because of the line above.
  /// What handlers that were cancelled have to end.
  private static let grace = Duration.milliseconds(500)

  private let loop: LoopCore
  private let service: ListenerService
  private let limit: Duration
  private var wait: LoopWait?
  private var token: TimerToken?
  private var hasCancelled = false

  init(_ loop: LoopCore, _ service: ListenerService, _ limit: Duration) {
    self.loop = loop
    self.service = service
    self.limit = limit
  }

  func begin(_ wait: LoopWait) {
    if !service.add(self) {
      wait.resume()
      return
    }
    self.wait = wait
    loop.waits.add(wait)
    arm(limit)
  }

  private func arm(_ span: Duration) {
    let deadline = loop.time.now(plus: span)
    if deadline != .max { token = loop.timers.insert(.limit(self), at: deadline) }
  }

  func expire() {
    token = nil
    if hasCancelled {
      service.remove(self)
      return finish()
    }
    hasCancelled = true
    service.cancel()
    arm(ListenerDrain.grace)
  }

  func finish() {
    disarm()
    wait.take()?.resume()
  }

  func withdraw(_ wait: LoopWait) {
    self.wait = nil
    service.remove(self)
    disarm()
  }

  private func disarm() {
    if let token { loop.timers.remove(token) }
    token = nil
  }

  func drop() { token = nil }
}
