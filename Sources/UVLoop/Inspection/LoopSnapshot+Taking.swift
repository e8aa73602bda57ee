import CLibUV

extension LoopSnapshot {
  /// What is copied while the loop's lists stand still. The loop may be waiting: to sort, and to make values for
  /// everybody, is for later.
  struct Lists {
    let state: EventLoop.State
    let running: Running?
    let queued: Int
    let waits: [WaitKind]
    let tasks: LoopTasks.List
    private(set) var handles: [Handle] = []
    private(set) var timers: [LoopTimers.Pending] = []
    private(set) var requests: [Request] = []
    private(set) var streams: [StreamCore] = []
    private(set) var listeners: [ListenerCore] = []
    private(set) var sockets: [UDPCore] = []
    /// The time of the timers.
    let now: Int64
    let foreignHandles: [ShutdownReport.ForeignHandle]?
    let foreignRequests: Int?

    /// On the loop, or while its lists stand still.
    init(_ core: LoopCore, _ monitor: LoopMonitor, isOnLoop: Bool) {
      state = core.life.state
      let now = MonotonicClock.now()
      running = monitor.current.map { Running($0, at: now) }
      queued = core.life.state == .stopped ? 0 : core.queue.count
      waits = core.waits.kinds
      tasks = core.tasks.all
      self.now = core.time.now
      // They may keep a loop that has stopped. After its end there is no list to walk through.
      foreignHandles =
        isOnLoop ? core.life >= .leaving ? [] : core.shutdown.foreignHandles(includingClosing: true) : nil
      foreignRequests = isOnLoop ? core.life >= .leaving ? 0 : core.shutdown.foreignRequests : nil
      for component in core.components.all {
        switch component {
        case let component as LoopHandles: handles = component.open.map { Handle($0) }
        case let component as LoopTimers: timers = component.pending
        case let component as LoopRequests:
          requests = component.inFlight.filter(\.isAwaited).map {
            Request(kind: $0.kind.rawValue, age: .nanoseconds(now - $0.since))
          }
        case let component as LoopNetwork:
          streams = component.streams.all
          listeners = component.listeners.all
          sockets = component.sockets.all
        default: break
        }
      }
    }
  }

  init(_ lists: Lists, _ core: LoopCore, _ monitor: LoopMonitor) {
    loop = core.name
    state = lists.state
    thread = Thread(core.thread.identity)
    running = lists.running
    queued = lists.queued
    waitKinds = lists.waits.reduce(into: [:]) { $0[$1.rawValue, default: 0] += 1 }
    tasks = lists.tasks.oldestFirst.map { Task(name: $0.name, age: $0.age) }
    handles = lists.handles
    requests = lists.requests
    streams = lists.streams.map { Stream($0) }
    listeners = lists.listeners.map { Listener($0) }
    sockets = lists.sockets.map { Socket($0) }

    var (sleepers, calls, limits): ([Wait], [Wait], [Wait]) = ([], [], [])
    for entry in lists.timers.sorted(by: { ($0.deadline, $0.sequence) < ($1.deadline, $1.sequence) }) {
      let dueIn = Duration.nanoseconds(entry.deadline) - .nanoseconds(lists.now)
      let wait = Wait(dueIn: dueIn, site: entry.site.map { StackTrace($0) })
      switch entry.kind {
      case .call: calls.append(wait)
      case .sleeper: sleepers.append(wait)
      case .limit: limits.append(wait)
      }
    }
    self.sleepers = sleepers
    scheduledCalls = calls
    self.limits = limits

    // The pools have locks of their own. What a shutdown has left behind is named in its report.
    let scheduler = OffloadScheduler.process
    let offloads = lists.state == .stopped ? ([], []) : scheduler.calls(of: core, monitor.offloadQueue)
    offloadsQueued = offloads.1.map { Offload($0, age: $1) }
    offloadsRunning = offloads.0.sorted { $0.1 > $1.1 }.map { Offload($0, age: $1) }
    pool = ThreadPool.statistics
    let own = scheduler.ownThreads
    ownPools = own.pools.map(\.statistics)
    lanes = scheduler.laneStatistics
    actorThreads = own.threads.map(\.statistics)
    foreignHandles = lists.foreignHandles
    foreignRequests = lists.foreignRequests
  }
}

extension LoopSnapshot.Thread {
  /// A loop has one from its start on.
  init(_ identity: ThreadIdentity?) {
    id = identity?.id ?? 0
    kernelID = identity?.kernelID ?? 0
    name = identity?.name ?? ""
  }
}

extension LoopSnapshot.Running {
  init(_ running: LoopMonitor.Running, at now: Int64) {
    kind = running.call.kind
    label = running.label
    age = .nanoseconds(max(0, now - running.began))
  }
}

extension LoopSnapshot.Offload {
  init(_ call: UVLoop.Offload, age: Duration) {
    label = call.label
    self.age = age
    pool = call.poolName
    lane = call.lane?.name
  }
}

extension LoopSnapshot.Stream {
  init(_ stream: StreamCore) {
    kind = stream.typeName.description
    localAddress = stream.addresses.local.map(String.init(describing:))
    peerAddress = stream.addresses.peer.map(String.init(describing:))
    isReading = stream.reader.hasWaiter
    queuedBytes = stream.writer.queuedBytes
    bytesRead = stream.reader.bytes
    bytesWritten = stream.writer.bytes
  }
}

extension LoopSnapshot.Listener {
  init(_ listener: ListenerCore) {
    address = String(describing: listener.address)
    statistics = listener.statistics.snapshot
  }
}

extension LoopSnapshot.Socket {
  init(_ socket: UDPCore) {
    localAddress = String(describing: socket.addresses.local)
    peerAddress = socket.addresses.peer.map(String.init(describing:))
    isReceiving = socket.receiver.hasWaiter
    heldDatagrams = socket.receiver.heldCount
    queuedBytes = socket.sender.queuedBytes
  }
}

extension LoopSnapshot.Handle {
  init(_ handle: UVLoop.Handle) {
    kind = handle.typeName.description
    state = handle.state.isClosed ? .closing : handle.mayCall ? .active : .inactive
    isReferenced = unsafe uv_has_ref(handle.uvHandle) != 0
    dueIn = handle.state.isActive ? handle.remaining : nil
    descriptor = handle.watchedDescriptor
    site = handle.site.map { StackTrace($0) }
  }
}
