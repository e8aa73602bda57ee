import Foundation
import TextTable

/// What is printed.
enum Output {
  static func line(_ line: Line, json: Bool) {
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      if let data = try? encoder.encode(line) { print(String(decoding: data, as: UTF8.self)) }
    } else {
      print("\(line.workload)\t\(line.peer)\t\(number(line.value))\t\(line.unit.rawValue)")
    }
    // Each line as soon as it is measured, also into a pipe.
    fflush(nil)
  }

  static func note(_ text: String) { print(text) }

  static func warn(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }

  static func list(_ entries: [(Workload, [Peer])]) {
    for (workload, peers) in entries {
      print("\(workload.name): \(workload.title)")
      print("  \(peers.map(\.name).joined(separator: " "))")
    }
  }

  /// Medians, and how many times as fast as raw libuv and SwiftNIO each peer is: above 1 is better, whatever the unit.
  static func table(_ record: Record) {
    struct Cell {
      let workload: String
      let peer: String
      let median: String
      let unit: String
      let toLibUV: String
      let toNIO: String
    }
    let cells = record.rows.flatMap { row in
      let libuv = row.medians.first { $0.peer.hasPrefix("c-uv") }?.value
      let nio = row.medians.first { $0.peer.hasPrefix("nio") }?.value
      return row.medians.map { peer, value, _ in
        Cell(
          workload: row.workload, peer: peer, median: number(value), unit: row.unit.rawValue,
          toLibUV: ratio(value, to: libuv, row.unit), toNIO: ratio(value, to: nio, row.unit))
      }
    }
    let table = TextTable<Cell> {
      [
        Column("workload" <- $0.workload), Column("peer" <- $0.peer), Column("median" <- $0.median, align: .right),
        Column("unit" <- $0.unit), Column("× libuv" <- $0.toLibUV, align: .right),
        Column("× nio" <- $0.toNIO, align: .right),
      ]
    }
    print()
    table.print(cells, style: Style.psql)
  }

  /// What another build did beside this one: above 1 this one is better, whatever the unit. The noise is the spread of
  /// the rounds, of the build whose rounds lie farther apart: a ratio within it says nothing.
  static func comparison(_ record: Record, with build: Build) {
    struct Cell {
      let workload: String
      let peer: String
      let now: String
      let then: String
      let unit: String
      let ratio: String
      let noise: String
    }
    let suffix = "@\(build.name ?? "")"
    let cells = record.rows.flatMap { row in
      row.medians.compactMap { peer, value, spread -> Cell? in
        guard let then = row.medians.first(where: { $0.peer == peer + suffix }) else { return nil }
        return Cell(
          workload: row.workload, peer: peer, now: number(value), then: number(then.value), unit: row.unit.rawValue,
          ratio: ratio(value, to: then.value, row.unit),
          noise: String(format: "± %.0f %%", max(spread, then.spread) * 100))
      }
    }
    let table = TextTable<Cell> {
      [
        Column("workload" <- $0.workload), Column("peer" <- $0.peer), Column("this one" <- $0.now, align: .right),
        Column(suffix <- $0.then, align: .right), Column("unit" <- $0.unit),
        Column("× \(suffix)" <- $0.ratio, align: .right), Column("noise" <- $0.noise, align: .right),
      ]
    }
    print()
    table.print(cells, style: Style.psql)
  }

  private static func ratio(_ value: Double, to other: Double?, _ unit: Figure.Unit) -> String {
    guard let other, other > 0, value > 0 else { return "" }
    return String(format: "%.2f", unit.isBetterHigh ? value / other : other / value)
  }

  static func grouped(_ count: Int) -> String { count.formatted(.number.locale(Locale(identifier: "en_US"))) }

  static func number(_ value: Double) -> String {
    abs(value) >= 1_000 ? String(format: "%.0f", value) : String(format: "%.4g", value)
  }
}
