import UVLoop

extension LoopView {
  /// For programs: what the library says, in full.
  var fields: Fields {
    var fields: Fields = [
      "loop": .text(snapshot.loop), "state": .text(snapshot.state.rawValue), "thread": .thread(thread),
      "utilisation": .share(utilisation),
      "lag": .object([
        "count": .number(lag.count), "p50": .time(lag.percentile(0.5)), "p99": .time(lag.percentile(0.99)),
        "max": .time(lag.percentile(1)),
      ]),
      "iterations": .number(metrics.iterations), "jobs": .number(metrics.jobs), "callbacks": .number(metrics.callbacks),
      "queued": .number(snapshot.queued),
      "handles": .list(snapshot.handles.map { .object(self.fields(of: $0)) }),
      "sleepers": .list(snapshot.sleepers.map { .object(["due in": .time($0.dueIn)]) }),
      "scheduled calls": .list(snapshot.scheduledCalls.map { .object(["due in": .time($0.dueIn)]) }),
      "tasks": .list(snapshot.tasks.map { .object(named($0.name, "name", $0.age)) }),
      "offload": .object([
        "workers": .number(ThreadPool.size),
        "running": .list(snapshot.offloadsRunning.map { .object(named($0.label, "label", $0.age)) }),
        "queued": .list(snapshot.offloadsQueued.map { .object(named($0.label, "label", $0.age)) }),
      ]),
    ]
    fields.add(
      "running",
      snapshot.running.map { .object(["kind": .text($0.kind.rawValue)] + named($0.label, "label", $0.age)) })
    fields.add("stall", stall.map { .object(self.fields(of: $0)) })
    return fields
  }

  private func fields(of handle: LoopSnapshot.Handle) -> Fields {
    var fields: Fields = [
      "kind": .text(handle.kind), "state": .text(handle.state.rawValue), "isReferenced": .flag(handle.isReferenced),
    ]
    fields.add("due in", handle.dueIn.map { .time($0) })
    return fields
  }

  private func fields(of stall: Stall) -> Fields {
    var fields: Fields = ["kind": .text(stall.kind)]
    fields.add("label", stall.label.map { .text($0) })
    fields.add("lasted", .time(stall.lasted))
    fields.add("ran", stall.end.map { .time($0.ran) })
    fields.add("stack", .list(stall.stack.map { .text($0) }))
    return fields
  }

  private func named(_ name: String?, _ key: String, _ age: Duration) -> Fields {
    var fields: Fields = [:]
    fields.add(key, name.map { .text($0) })
    fields.add("age", .time(age))
    return fields
  }
}
