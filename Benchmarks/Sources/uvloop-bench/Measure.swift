import ArgumentParser
import Foundation

/// All peers of the chosen workloads, in rounds.
struct Measure: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure", abstract: "Measures UVLoop, raw libuv and other loops side by side.",
    usage: """
      uvloop-bench [<workloads> ...] [<options>]
      uvloop-bench growth [<names> ...] [<options>]
      """,
    discussion: """
      Prints one line a figure, `workload<TAB>peer<TAB>value<TAB>unit`, as it is measured, and ends with a table of \
      medians. Each run of each peer is a process of its own; rounds alternate the peers' order.

        uvloop-bench W3a W3b          the workloads whose names begin so
        uvloop-bench --filter nio     the workloads and peers that match
        uvloop-bench growth           how costs grow; see `uvloop-bench growth --help`

      With --against the library of another state of the source is measured in the same run, its rounds between this \
      one's: `Scripts/bench --against COMMIT` builds it.
      """, shouldDisplay: false, helpNames: .shortAndLong)

  @Argument(help: "The workloads whose names begin so; without it all of them.")
  var workloads: [String] = []

  @Option(help: ArgumentHelp("Only what matches, in 'workload peer'.", valueName: "regex"))
  var filter: String?

  @Option(help: "How often each peer is measured; 5 times by default, once with --quick.")
  var rounds: Int?

  @Flag(help: "Keep every process on one CPU.")
  var oneCpu = false

  @Flag(help: "Fewer operations and one round: less than 90 seconds in all. Only some serve, unless named.")
  var quick = false

  @Flag(help: "Print JSON objects, one a line, and no table.")
  var json = false

  @Flag(help: "Print the workloads and their peers, and measure nothing.")
  var list = false

  @Option(help: ArgumentHelp("Draw the medians as bars.", valueName: "file.svg"))
  var plot: String?

  @Option(
    help: ArgumentHelp("The uvloop-bench of another build, beside which this one's is measured.", valueName: "program"))
  var against: String?

  @Option(help: ArgumentHelp("What that one is called.", valueName: "name"))
  var againstName = "other"

  func validate() throws {
    try Measure.validate(rounds: rounds)
    if against != nil && plot != nil { throw ValidationError("--against prints a table, and draws nothing.") }
    for name in workloads where !Workload.all.contains(where: { $0.name.hasPrefix(name) }) {
      throw ValidationError("No workload begins with '\(name)'; --list names them.")
    }
    if let filter, (try? Regex(filter)) == nil {
      throw ValidationError("--filter '\(filter)' is not a regular expression.")
    }
  }

  static func validate(rounds: Int?) throws {
    if let rounds, !(1...1_000).contains(rounds) { throw ValidationError("--rounds must be from 1 to 1000.") }
  }

  func run() async throws {
    var entries = try chosen()
    if entries.isEmpty { throw ValidationError("Nothing matches; --list names the workloads and their peers.") }
    if list {
      Output.list(entries)
      return
    }
    let picture = try plot.map { try Plot(.bars, to: $0) }
    var scripts = Scripts()
    entries = entries.map { ($0, scripts.runnable($1)) }.filter { !$1.isEmpty }
    if entries.isEmpty { throw Wrong(description: "Nothing of what was asked for can run here.") }
    let machine = Machine.current
    if !json { Output.note("# \(machine.description)") }
    let other = against.map { Build(name: againstName, program: URL(filePath: $0)) }
    let record = try Rounds(
      count: rounds ?? (quick ? 1 : 5), quick: quick, placements: oneCpu ? [.oneCPU] : nil, json: json,
      builds: [.own] + [other].compactMap(\.self)
    ).measure(entries)
    if !json {
      if let other { Output.comparison(record, with: other) } else { Output.table(record) }
    }
    try picture?.draw(record, entries.map(\.0), on: machine, quick: quick)
  }

  private func chosen() throws -> [(Workload, [Peer])] {
    let regex = try filter.map { try Regex($0) }
    let isAllQuick = quick && workloads.isEmpty && filter == nil
    return Workload.all.compactMap { workload in
      if !workloads.isEmpty && !workloads.contains(where: { workload.name.hasPrefix($0) }) { return nil }
      let peers = workload.peers.filter { peer in
        if against != nil && !peer.isOurs { return false }
        if isAllQuick && workload.quickPeers?.contains(peer.name) == false { return false }
        return regex.map { "\(workload.name) \(peer.name)".contains($0) } ?? true
      }
      return peers.isEmpty ? nil : (workload, peers)
    }
  }
}

extension Plot {
  /// Each workload's main figure.
  fileprivate func draw(_ record: Record, _ workloads: [Workload], on machine: Machine, quick: Bool) throws {
    let titles = workloads.flatMap { workload in
      [Placement.free, .oneCPU].map { placement in
        var notes = placement == .oneCPU ? ["on one CPU"] : []
        if !workload.isPerOperation { notes.append("\(Output.grouped(workload.size(quick: quick))) of them") }
        return (workload: workload.name + placement.suffix, title: workload.title, note: notes.joined(separator: ", "))
      }
    }
    try draw(
      record.rows.filter { row in titles.contains { $0.workload == row.workload } },
      note: machine.description + (quick ? ", a quick run" : ""), titles: titles)
  }
}
