import CLibUV

@testable import UVLoop

// The core of a loop may change as it likes: what a test wants to know of it has a name here, and only the way to the
// answer changes. What belongs to the loop is asked for on it, `await loop.run { $0.probe.timers }`; anywhere else it
// traps.

/// What tests ask about the inside of a loop, and the few things that they do there.
struct LoopProbe: Sendable {
  /// For this folder alone.
  let core: LoopCore

  init(_ core: LoopCore) { self.core = core }
}

extension EventLoop {
  nonisolated var probe: LoopProbe { LoopProbe(core) }
}

// MARK: - From anywhere

extension LoopProbe {
  /// Whether the loop's thread waits in its poll, since it takes no locks for longer than an instant.
  var isAsleep: Bool { core.thread.identity.map { Process.isAsleep($0.kernelID) } ?? false }

  /// Whether the calling code is in the loop's isolation: on its thread, or where its late jobs run.
  var isIsolating: Bool { core.isIsolating }

  /// Whether libuv's loop is closed.
  var isClosed: Bool { core.life == .ended }

  /// Passes of libuv's loop so far, each with one poll.
  var iterations: Int { core.counters.iterations.value }

  /// Closures and parts of tasks that have run so far.
  var jobs: Int { core.counters.jobs.value }

  /// Callbacks of handles so far.
  var callbacks: Int { core.counters.callbacks.value }

  /// What has come from other threads so far.
  var traffic: Traffic {
    let counts = core.inbox.counts
    return Traffic(wakes: counts.wakes, posts: counts.posts)
  }

  /// Wakes that were sent to the loop so far.
  var wakes: Int { traffic.wakes }

  /// Closures, jobs and messages that came from other threads so far.
  var posts: Int { traffic.posts }

  /// How many of them the loop has not taken yet.
  var untakenPosts: Int { core.inbox.waiting }

  /// How many tasks shutdown waits for.
  var awaitedTasks: Int { core.tasks.awaitedCount }

  /// Whether the stream is on this loop.
  func has(_ stream: ByteStream) -> Bool { stream.inner.loop === core }

  /// A message of the library's own, which the loop takes for as long as it runs.
  func enqueue(_ body: @escaping () -> Void) { core.enqueue(body) }

  /// Asks for the end, and does not wait for it.
  func requestStop() { core.shutdown.request(within: nil) }

  /// Whether nothing takes part in the loop any more, and nobody waits. For one that has ended.
  var isEmptied: Bool { core.components.all.isEmpty && core.waits.count == 0 }
}

// MARK: - What comes while something is done

extension LoopProbe {
  /// What other threads send to a loop.
  struct Traffic: Equatable {
    var wakes = 0
    var posts = 0

    static let none = Traffic()
  }

  func traffic(
    isolation: isolated (any Actor)? = #isolation, during body: () async throws -> Void
  ) async rethrows -> Traffic {
    let before = traffic
    try await body()
    let after = traffic
    return Traffic(wakes: after.wakes - before.wakes, posts: after.posts - before.posts)
  }

  func wakes(
    isolation: isolated (any Actor)? = #isolation, during body: () async throws -> Void
  ) async rethrows -> Int { try await traffic(during: body).wakes }

  func iterations(
    isolation: isolated (any Actor)? = #isolation, during body: () async throws -> Void
  ) async rethrows -> Int {
    let before = iterations
    try await body()
    return iterations - before
  }

  func jobs(
    isolation: isolated (any Actor)? = #isolation, during body: () async throws -> Void
  ) async rethrows -> Int {
    let before = jobs
    try await body()
    return jobs - before
  }
}

// MARK: - On the loop

extension LoopProbe {
  /// The core, of which more is touched than any thread may.
  private var own: LoopCore {
    precondition(core.isIsolating, "What belongs to a loop is asked for on it.")
    return core
  }

  /// Whether a task may go on inside the callback that ends its wait, or goes behind what is queued.
  var runsInline: Bool {
    get { own.queue.runsInline }
    nonmutating set { own.queue.runsInline = newValue }
  }

  /// How much waits in the loop's own queue.
  var queued: Int { own.counters.queued.value }

  /// The waits that no timer ends and no handle: at a promise or a signal, say.
  var waits: Int { own.waits.count }

  /// Whether the calling task waits in a scope, which ends its waits where the task is cancelled.
  var hasScope: Bool { scope != nil }

  /// The scope in which the calling task waits.
  var scope: WaitScope? { own.waits.scopes.current }

  /// The sleeps, scheduled calls and time limits that wait for their time.
  var timers: Int { own.timers.pending.count }

  /// Each of them by its number and its deadline, in no order.
  var timerList: [[Int64]] { own.timers.pending.map { [Int64($0.sequence), $0.deadline] } }

  /// Whether somebody moves the loop's time, and waits until that is done.
  var isAdvancing: Bool { own.timers.testClock?.isAdvancing == true }

  /// The next poll does not wait.
  func endNextPoll() { _ = own.timers.insert({}, at: 0) }

  /// Calls it when its time is over, which is in the next iteration.
  func expire(_ limit: any LoopDeadline) { _ = own.timers.insert(.limit(limit), at: core.time.now) }

  /// What the loop has counted of its handles.
  var handles: HandleCount { HandleCount(own.handles) }

  /// The open handle that was made last.
  var newestHandle: Handle? { own.handles.open.last }

  /// Whether a handle is active for somebody who waits: for its descriptor, or for what comes over it.
  var hasAwaitedHandle: Bool {
    own.handles.open.contains { $0.state.activity.contains(HandleActivity(rawValue: 2)) }
  }

  /// What libuv has of the library to do, each by its kind: `work` is a pool task of offloaded calls.
  var requests: [String] { own.requests.inFlight.map(\.kind.rawValue) }

  /// How many requests libuv itself counts, whoever's they are.
  var uvRequests: UInt32 { unsafe own.rawLoop.loop.pointee.active_reqs.count }

  /// The loop's offloaded calls.
  var offloads: OffloadQueue { own.work.queue }

  var streams: [StreamCore] { own.network.streams.all }
  var sockets: [UDPCore] { own.network.sockets.all }
  var listeners: [ListenerCore] { own.network.listeners.all }

  /// What takes part in the loop's iterations and its end.
  var components: [any LoopComponent] { own.components.all }

  /// The one with this key, made at its first use.
  func component<Component: LoopComponent>(_ key: ComponentKey<Component>, _ make: () -> Component) -> Component {
    own.component(key) { _ in make() }
  }

  /// Runs `body` in the middle of a change of the loop's lists.
  func whileChanging(_ body: () -> Void) { own.registryLock.withOwnership(body) }
}

/// How many handles a loop has made, closed and freed since it began. Answers when the loop has ended, too.
struct HandleCount: @unchecked Sendable {  // Holds because tests ask on the loop, or when it has ended.
  private let handles: LoopHandles

  fileprivate init(_ handles: LoopHandles) { self.handles = handles }

  var created: Int { handles.created }
  var closed: Int { handles.closed }
  var freed: Int { handles.freed }

  /// How many there are.
  var open: Int { handles.open.count }

  /// How many there is room for.
  var room: Int { handles.open.capacity }
}

/// Whether a loop's core is still there. Keeps nothing alive.
struct WeakCore: Sendable {
  private weak let core: LoopCore?

  init(of loop: EventLoop) { core = loop.core }

  var isFreed: Bool { core == nil }
}
