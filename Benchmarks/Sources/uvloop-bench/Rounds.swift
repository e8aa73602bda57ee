/// Measures peers side by side.
struct Rounds {
  let count: Int
  let quick: Bool
  /// Instead of each workload's own.
  var placements: [Placement]?
  let json: Bool

  /// All peers of one workload and then of the next one, each figure printed as it comes.
  func measure(_ entries: [(Workload, [Peer])]) throws -> Record {
    var record = Record()
    for (workload, peers) in entries {
      for round in 0..<count {
        for placement in placements ?? workload.placements {
          // The one that comes first finds the caches cold, and the machine in another mood than the last one.
          for peer in round.isMultiple(of: 2) ? peers : peers.reversed() {
            let child = Child(workload: workload, peer: peer, placement: placement, size: workload.size(quick: quick))
            switch try child.run() {
            case .absent: continue
            case .figures(let figures):
              for figure in figures {
                let line = Line(
                  workload: workload.name + figure.part + placement.suffix, peer: peer.name, value: figure.value,
                  unit: figure.unit)
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
}
