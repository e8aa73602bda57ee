import CLibUV

/// Ends a loop, step by step, on its own thread. ``StopSequence`` knows the order; this does the work.
@safe final class LoopStop {
  private unowned let core: LoopCore
  private var sequence = StopSequence()
  private var timer: UnsafeMutablePointer<uv_timer_t>?

  init(_ core: LoopCore) { self.core = core }

  var hasEnded: Bool { sequence.phase == .ended }

  /// Takes the next step if it is due; true if it took one, so that the loop must look again before it waits.
  func advance() -> Bool {
    switch sequence.next(conditions()) {
    case .wait:
      // libuv's time may be behind by its cut and its coarse clock, and the timer then early.
      if let timer = unsafe timer,
        unsafe uv_is_active(UnsafeRawPointer(timer).assumingMemoryBound(to: uv_handle_t.self)) == 0
      {
        armDeadline()
      }
      return false
    case .releaseWaits:
      for component in core.components { component.releaseWaits() }
      core.waits.release()
      core.tasks.releaseBlocked()
    case .closeHandles:
      while let hook = core.hooks.popLast() { hook() }
      for component in core.components { component.close() }
    case .expire:
      for component in core.components { component.expire() }
    case .report:
      // From here on the thread is the reaper: not the loop's thread any more, but the place of its isolation.
      core.ending.compose(report())
      core.mark(current: false, isolating: true)
      core.ending.deliver(core)
    case .end:
      core.ending.compose(report())
      unsafe uv_stop(core.machinery.loop)
    }
    return true
  }

  /// Makes the loop look again when the time that the callers gave is over.
  func armDeadline() {
    guard !hasEnded, let deadline = core.ending.deadline, deadline != .max else { return }
    if unsafe timer == nil {
      unsafe timer = try? core.machinery.open(UV_TIMER, as: uv_timer_t.self, "uv_timer_init") {
        unsafe uv_timer_init($0, $1)
      }
    }
    unsafe uv_update_time(core.machinery.loop)
    let left = max(0, deadline - MonotonicClock.now())
    // One millisecond more than rounding up asks for: the loop's own time is cut to milliseconds.
    _ = unsafe uv_timer_start(timer, { _ in }, UInt64(left) / 1_000_000 + 2, 0)
  }

  private func conditions() -> StopSequence.Conditions {
    var now = StopSequence.Conditions()
    now.isExpired = core.ending.deadline.map { $0 <= MonotonicClock.now() } ?? false
    switch sequence.phase {
    case .awaitingTasks:
      now.tasks = core.tasks.awaitedCount
    case .closingHandles, .reaping:
      now.isSettled = core.components.allSatisfy(\.isSettled)
      now.isEmpty = core.components.allSatisfy(\.isEmpty)
      let foreign = core.foreignHandles(includingClosing: true)
      now.hasForeignHandles = !foreign.isEmpty
      // In the callback of one that closes its owner may close the next: a chain of any length ends before the report.
      if foreign.contains(where: \.isClosing) || hasForeignRequests {
        now.isSettled = false
        now.isEmpty = false
      }
    case .releasingWaits, .ended:
      break
    }
    return now
  }

  private func report() -> ShutdownReport {
    var report = ShutdownReport()
    for task in core.tasks.awaited.oldestFirst {
      report.unfinished.append(.init(kind: .task, label: task.name, age: task.age))
    }
    for component in core.components { component.report(into: &report) }
    report.foreignHandles = core.foreignHandles(includingClosing: false)
    if hasForeignRequests { report.foreignHandles.append(.init(kind: "request", descriptor: nil)) }
    return report
  }

  /// Requests of C neighbours: a file or a name that they asked libuv for. They end by themselves, so that shutdown
  /// waits for them. While handles or offloaded calls are left they cannot be told apart, and need not be.
  private var hasForeignRequests: Bool {
    core.components.allSatisfy(\.isEmpty) && core.foreignHandles(includingClosing: true).isEmpty
      && core.machinery.isUsedByOthers
  }
}

extension LoopCore {
  /// What others have put on the loop. A handle that is closing is its owner's no more, but its memory is.
  func foreignHandles(includingClosing: Bool) -> [ShutdownReport.ForeignHandle] {
    let ours = unsafe Set(components.flatMap { unsafe $0.uvHandles })
    var found: [ShutdownReport.ForeignHandle] = []
    unsafe machinery.visitOthers { handle in
      if unsafe ours.contains(handle) { return }
      if unsafe !includingClosing && uv_is_closing(handle) != 0 { return }
      var descriptor: Int32 = -1
      let status = unsafe uv_fileno(handle, &descriptor)
      let kind = unsafe uv_handle_type_name(uv_handle_get_type(handle)).map { unsafe String(cString: $0) }
      found.append(
        .init(
          kind: kind ?? "unknown", descriptor: status == 0 ? descriptor : nil, address: UInt(bitPattern: handle),
          isActive: unsafe uv_is_active(handle) != 0, isReferenced: unsafe uv_has_ref(handle) != 0,
          isClosing: unsafe uv_is_closing(handle) != 0))
    }
    return found
  }

  /// How many requests of others are under way: writes, connections, files, names, calls on the pool.
  var foreignRequests: Int { max(0, machinery.requests - components.reduce(0) { $0 + $1.uvRequests }) }

  /// On the loop, before what was accepted runs. Once.
  func quiesce() {
    if hasQuiesced { return }
    hasQuiesced = true
    for component in components { component.quiesce() }
  }

  /// Begins the end, from any thread and as often as anybody likes. The shortest `within` counts.
  func requestStop(within limit: Duration?) {
    requireOwnProcess()
    tasks.excuse(LoopTasks.chain)
    for holder in Occupants.chain { holder.excuse(from: self) }
    Occupants.current?.excuse(from: self)
    ending.begin(within: limit)
    beginStopping()
    if isCurrent { quiesce() }
    tasks.close()
    // Behind everything that was accepted: when this message runs, that has run.
    let isFirst = inbox.stopAccepting(
      then: .call {
        let stop = LoopStop(self)
        self.stop = stop
        stop.armDeadline()
        self.tasks.cancelAll()
      })
    if !isFirst { tell { self.stop?.armDeadline() } }
  }
}
