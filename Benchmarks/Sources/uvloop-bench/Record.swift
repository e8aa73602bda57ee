/// One figure as it is printed.
struct Line: Codable {
  let workload: String
  let peer: String
  let value: Double
  let unit: Figure.Unit
}

extension Figure.Unit: Codable {}

/// All figures of a run, in the order in which they came.
struct Record {
  /// A workload with its peers, as medians.
  struct Row {
    let workload: String
    let unit: Figure.Unit
    /// The spread is half the distance of the least from the greatest, as a part of the median.
    let medians: [(peer: String, value: Double, spread: Double)]

    subscript(_ peer: String) -> Double? { medians.first { $0.peer == peer }?.value }
  }

  private var order: [String] = []
  private var figures: [String: [(peer: String, unit: Figure.Unit, all: [Double])]] = [:]

  mutating func add(_ line: Line) {
    if figures[line.workload] == nil { order.append(line.workload) }
    var peers = figures[line.workload] ?? []
    if let index = peers.firstIndex(where: { $0.peer == line.peer }) {
      peers[index].all.append(line.value)
    } else {
      peers.append((line.peer, line.unit, [line.value]))
    }
    figures[line.workload] = peers
  }

  var rows: [Row] {
    order.compactMap { workload in
      guard let peers = figures[workload], let unit = peers.first?.unit else { return nil }
      return Row(workload: workload, unit: unit, medians: peers.map { ($0.peer, $0.all.median, $0.all.spread) })
    }
  }
}
