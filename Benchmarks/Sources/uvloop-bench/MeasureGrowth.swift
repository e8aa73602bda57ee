import ArgumentParser
import Foundation

/// How costs grow, up to a hundred thousand of each.
struct MeasureGrowth: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "growth", abstract: "Measures how costs grow, up to 100,000 of each.",
    discussion: """
      Prints one line a figure, `growth.NAME.NUMBER<TAB>peer<TAB>value<TAB>unit`, as it is measured, and ends with a \
      table of medians.
      """, helpNames: .shortAndLong)

  @Argument(help: "What grows: \(Growth.all.map(\.name).joined(separator: ", ")); without it all of them.")
  var names: [String] = []

  @Option(help: "How often each peer is measured; 3 times by default, once with --quick.")
  var rounds: Int?

  @Flag(help: "Fewer operations and one round.")
  var quick = false

  @Flag(help: "Print JSON objects, one a line, and no table.")
  var json = false

  @Flag(help: "Print what grows and the peers, and measure nothing.")
  var list = false

  @Option(help: ArgumentHelp("Draw a picture of each, growth-NAME.svg.", valueName: "folder"))
  var plot: String?

  func validate() throws {
    try Measure.validate(rounds: rounds)
    for name in names where !Growth.all.contains(where: { $0.name == name }) {
      throw ValidationError("Nothing is called '\(name)' that grows; --list names what does.")
    }
  }

  func run() async throws {
    let growths = Growth.all.filter { names.isEmpty || names.contains($0.name) }
    if list {
      for growth in growths {
        print("\(growth.name): \(growth.title), over \(growth.axis)")
        print("  \(growth.workloads.first?.peers.map(\.name).joined(separator: " ") ?? "")")
      }
      return
    }
    let pictures = try plot.map { folder in
      try growths.map { ($0, try Plot(.lines, to: "\(folder)/growth-\($0.name).svg")) }
    }
    let machine = Machine.current
    if !json { Output.note("# \(machine.description)") }
    let record = try Rounds(count: rounds ?? (quick ? 1 : 3), quick: quick, json: json)
      .measure(growths.flatMap(\.workloads).map { ($0, $0.peers) })
    if !json { Output.table(record) }
    for (growth, picture) in pictures ?? [] {
      let rows = record.rows.filter { row in growth.workloads.contains { $0.name == row.workload } }
      try picture.draw(
        rows, note: machine.description + (quick ? ", a quick run" : ""),
        titles: [("growth.\(growth.name)", growth.title, growth.axis)])
    }
  }
}
