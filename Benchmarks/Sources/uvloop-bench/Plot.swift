import Foundation

/// Pictures of the medians, drawn by a script with matplotlib.
struct Plot {
  /// What the script is to draw: bars, a panel for each workload, or lines over a count.
  enum Kind: String {
    case bars
    case lines
  }

  let kind: Kind
  let file: String

  /// The script is found beside this source, since the package is run where it is built.
  private static let script = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Plots/plot.py").standardized.path(percentEncoded: false)

  /// Throws where it could not be drawn, or not be written: to be told before anything is measured.
  init(_ kind: Kind, to file: String) throws {
    self.kind = kind
    self.file = file
    let folder = URL(filePath: file).deletingLastPathComponent().path(percentEncoded: false)
    if !FileManager.default.isWritableFile(atPath: folder) {
      throw Wrong(description: "The plot cannot be written: there is no folder '\(folder)' that may be written to.")
    }
    if Command.find("python3") == nil {
      throw Wrong(description: "A plot is drawn by Python, and there is no 'python3' on the PATH.")
    }
    if try Command(["python3", Plot.script, "check"]).run() == nil {
      throw Wrong(
        description: "A plot is drawn by matplotlib, which 'python3' does not have: "
          + "`python3 -m pip install matplotlib` installs it.")
    }
  }

  /// - Parameters:
  ///   - note: What stands under the heading.
  ///   - titles: Of each workload: what it is, and what else to say about it.
  func draw(_ rows: [Record.Row], note: String, titles: [(workload: String, title: String, note: String)]) throws {
    var lines = ["# \(note)"]
    lines += titles.map { "# \($0.workload)\t\($0.title)\t\($0.note)" }
    for row in rows {
      lines += row.medians.map { "\(row.workload)\t\($0.peer)\t\($0.value)\t\(row.unit.rawValue)" }
    }
    _ = try Command(["python3", Plot.script, kind.rawValue, file]).run(input: lines.joined(separator: "\n"))
  }
}
