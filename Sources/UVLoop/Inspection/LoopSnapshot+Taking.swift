import CLibUV

extension LoopSnapshot {
  /// On the loop, or while its lists stand still.
  init(_ core: LoopCore, _ monitor: LoopMonitor, isOnLoop: Bool) {
    loop = core.name
    state = core.life.state
    thread = Thread(core.thread)
    let now = MonotonicClock.now()
    running = monitor.current.map { Running($0, at: now) }
    queued = core.life == .stopped ? 0 : core.inbox.waiting + core.counters.queued.value
    waits = core.waits.count
    tasks = core.tasks.all.map { Task(name: $0.name, age: $0.age) }

    var handles: [Handle] = []
    var (sleepers, calls, limits): ([Wait], [Wait], [Wait]) = ([], [], [])
    for resident in core.residents {
      switch resident {
      case let resident as LoopHandles:
        handles = resident.open.map { Handle($0) }
      case let resident as LoopTimers:
        resident.forEachPending { entry, dueIn in
          switch entry {
          case .call: calls.append(Wait(dueIn: dueIn, site: nil))
          case .tracedCall(let call): calls.append(Wait(dueIn: dueIn, site: StackTrace(call.site)))
          case .sleeper: sleepers.append(Wait(dueIn: dueIn, site: nil))
          case .limit: limits.append(Wait(dueIn: dueIn, site: nil))
          }
        }
      default: break
      }
    }
    self.handles = handles
    self.sleepers = sleepers
    scheduledCalls = calls
    self.limits = limits

    let offloads = monitor.offloadQueue
    offloadsQueued = offloads.map { PoolLedger.process.waiting($0).map { Offload(label: $0.label, age: $1) } } ?? []
    offloadsRunning = offloads.map { PoolLedger.process.running($0).map { Offload(label: $0.label, age: $1) } } ?? []
    pool = ThreadPool.statistics
    // They may keep a loop that has stopped. After its end there is no list to walk through.
    foreignHandles =
      isOnLoop ? core.machinery.isClosed ? [] : core.foreignHandles(includingClosing: true) : nil
    foreignRequests = isOnLoop ? core.machinery.isClosed ? 0 : core.foreignRequests : nil
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

extension LoopSnapshot.Handle {
  init(_ handle: UVLoop.Handle) {
    kind = handle.noun.description
    state = handle.state.isClosed ? .closing : handle.mayCall ? .active : .inactive
    isReferenced = unsafe uv_has_ref(handle.uvHandle) != 0
    dueIn = handle.state.isActive ? handle.remaining : nil
    descriptor = handle.watchedDescriptor
    site = handle.site.map { StackTrace($0) }
  }
}
