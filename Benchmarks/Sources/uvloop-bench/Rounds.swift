/// Measures peers side by side.
struct Rounds {
  let count: Int
  let quick: Bool
  /// Instead of each workload's own.
  var placements: [Placement]?
  let json: Bool
  /// Each peer is measured once with each, one right after the other.
  var builds = [Build.own]

  /// All peers of one workload and then of the next one, each figure printed as it comes.
  func measure(_ entries: [(Workload, [Peer])]) throws -> Record {
    var record = Record()
    for (workload, peers) in entries {
      for round in 0..<count {
        for placement in placements ?? workload.placements {
          // The one that comes first finds the caches cold, and the machine in another mood than the last one.
          let runs = peers.flatMap { peer in builds.map { (peer, $0) } }
          for (peer, build) in round.isMultiple(of: 2) ? runs : runs.reversed() {
            let child = Child(
              workload: workload, peer: peer, placement: placement, size: workload.size(quick: quick), build: build)
            switch try outcome(of: child) {
            case .absent: continue
            case .figures(let figures):
              for figure in figures where workload.only == nil || workload.only == figure.part {
                let part = workload.only == nil ? figure.part : ""
                let line = Line(
                  workload: workload.name + part + placement.suffix, peer: build.name(of: peer),
                  value: figure.value, unit: figure.unit)
                record.add(line)
                Output.line(line, json: json)
              }
            }
          }
        }
      }
    }
    return record
  }

  /// Another build may be of a time when there was no such workload or peer.
  private func outcome(of child: Child) throws -> Child.Outcome {
    do {
      return try child.run()
    } catch {
      if child.build.name == nil { throw error }
      Output.warn("\(child.workload.name) \(child.build.name(of: child.peer)): \(error)")
      return .absent
    }
  }
}
