extension LoopSnapshot: CustomStringConvertible {
  /// What keeps the loop busy, a line for each kind of thing.
  public var description: String {
    var lines = [
      "loop \"\(loop)\" is \(state.rawValue), on \(thread.name) (thread \(thread.id), kernel id \(thread.kernelID))",
      running.map { "runs: \(titled($0.kind.rawValue, $0.label)), for \($0.age.text)" }
        ?? "runs: nothing that is noted",
    ]
    if queued > 0 { lines.append("queued: \(queued)") }
    list(
      "handles",
      handles.map { handle in
        var text = "\(handle.kind) \(handle.state.rawValue)"
        if let descriptor = handle.descriptor { text += ", descriptor \(descriptor)" }
        if let dueIn = handle.dueIn { text += ", due in \(dueIn.text)" }
        if !handle.isReferenced { text += ", not referenced" }
        return text
      }, &lines)
    list(
      "streams",
      streams.map { stream in
        var text =
          "\(stream.kind) \([stream.localAddress, stream.peerAddress].compactMap(\.self).joined(separator: " > "))"
        if stream.isReading { text += ", read from" }
        if stream.queuedBytes > 0 { text += ", \(stream.queuedBytes) bytes queued" }
        return text
      }, &lines)
    list(
      "listeners",
      listeners.map { "\($0.address), \($0.statistics.open) open, \($0.statistics.accepted) accepted" }, &lines)
    list(
      "sockets",
      sockets.map { socket in
        var text = [socket.localAddress, socket.peerAddress].compactMap(\.self).joined(separator: " > ")
        if socket.isReceiving { text += ", received from" }
        if socket.heldDatagrams > 0 { text += ", \(socket.heldDatagrams) datagrams held" }
        if socket.queuedBytes > 0 { text += ", \(socket.queuedBytes) bytes queued" }
        return text
      }, &lines)
    list("sleeping tasks", sleepers.map { "due in \($0.dueIn.text)" }, &lines)
    list("scheduled calls", scheduledCalls.map { "due in \($0.dueIn.text)" }, &lines)
    list("time limits", limits.map { "due in \($0.dueIn.text)" }, &lines)
    if waits > 0 {
      let kinds = waitKinds.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
      lines.append("other waits: \(waits) (\(kinds.joined(separator: "; ")))")
    }
    list("tasks", tasks.map { "\(titled("task", $0.name)), \($0.age.text) old" }, &lines)
    func offload(_ call: Offload) -> String {
      let place = call.pool.map { " on pool \"\($0)\"" } ?? call.lane.map { " in lane \"\($0)\"" } ?? ""
      return "\(titled("call", call.label))\(place), for \(call.age.text)"
    }
    list("offloaded calls that run", offloadsRunning.map(offload), &lines)
    list("offloaded calls that wait", offloadsQueued.map(offload), &lines)
    list("requests", requests.map { "\(titled("request", $0.kind)), for \($0.age.text)" }, &lines)
    list(
      "handles of C code",
      foreignHandles?.map { $0.kind + $0.particulars } ?? [], &lines)
    if let foreignRequests, foreignRequests > 0 { lines.append("requests of C code: \(foreignRequests)") }
    if lines.count == 2 && running == nil { lines.append("nothing keeps it busy") }
    lines += placesWithLines
    return lines.joined(separator: "\n")
  }

  /// What calls of the loop wait for, with those of others.
  private var placesWithLines: [String] {
    func line(_ title: String, _ queued: Int, _ running: Int, _ oldest: Duration?) -> String? {
      oldest.map { "\(title): \(running) run, \(queued) wait, the first in line for \($0.text)" }
    }
    let (pools, lanes) = (Set(offloadsQueued.map(\.pool)), Set(offloadsQueued.map(\.lane)))
    let shared = offloadsQueued.contains { $0.pool == nil && $0.lane == nil }
    return (shared ? [line("libuv's pool", pool.queued, pool.running, pool.oldestQueued)].compactMap(\.self) : [])
      + ownPools.filter { pools.contains($0.name) }.compactMap {
        line("pool \"\($0.name)\"", $0.queued + $0.waitingForRoom + $0.tasksQueued, $0.running, $0.oldestQueued)
      }
      + self.lanes.filter { lanes.contains($0.name) }.compactMap {
        line("lane \"\($0.name)\"", $0.queued, $0.running, $0.oldestQueued)
      }
  }

  private func titled(_ kind: String, _ name: String?) -> String { name.map { "\(kind) \"\($0)\"" } ?? kind }

  /// The first few of many: they are in an order in which these matter most.
  private func list(_ title: String, _ items: [String], _ lines: inout [String]) {
    if items.isEmpty { return }
    let rest = items.count > 5 ? "; and \(items.count - 5) more" : ""
    lines.append("\(title): \(items.count) (\(items.prefix(5).joined(separator: "; "))\(rest))")
  }
}
