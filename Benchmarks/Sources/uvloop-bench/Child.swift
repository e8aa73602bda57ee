import CPeers
import Foundation

/// One peer's run of one workload, in a process of its own: what a peer leaves behind, in memory or threads, meets no
/// other peer, and where its threads land is the kernel's choice anew each time.
struct Child {
  let workload: Workload
  let peer: Peer
  let placement: Placement
  let size: Int
  var build = Build.own

  /// What it printed, or why there is nothing.
  enum Outcome {
    case figures([Figure])
    /// The script does not do this workload.
    case absent
  }

  func run() throws -> Outcome {
    switch peer.work {
    case .here:
      return try start([build.program.path(percentEncoded: false), "run-one", workload.name, peer.name, "\(size)"])
    case .script(let script):
      return try start(script.command(workload.name, "\(scriptSize)"))
    case .scriptStart(let script):
      return try start([beside("startup-measure"), "\(scriptSize)"] + script.command("startup-once"))
    case .program(let name):
      return try start([beside("startup-measure"), "\(size)", beside(name)])
    case .server(.program(let name), let load):
      return try start(under(load) + [beside(name), peer.name])
    case .server(.script(let script), let load):
      return try start(under(load) + script.serverCommand())
    }
  }

  private var scriptSize: Int { workload.isPerOperation ? max(1, size / Script.slowness) : size }

  private func under(_ load: Load) -> [String] {
    [beside("tcpload"), load.kind, "\(size)", "\(load.connections)", "\(load.bytes)"]
  }

  /// A program of the same build.
  private func beside(_ name: String) -> String {
    build.program.deletingLastPathComponent().appending(path: name).path(percentEncoded: false)
  }

  private func start(_ command: [String]) throws -> Outcome {
    guard let text = try Command(command, on: placement).run() else { return .absent }
    return .figures(try Figure.parse(text, from: peer.name))
  }
}

/// The programs of one state of the source.
struct Build: Sendable {
  /// Nil for those that run.
  let name: String?
  /// Its `uvloop-bench`.
  let program: URL

  static let own = Build(name: nil, program: Command.own)

  /// What a peer of this build is called.
  func name(of peer: Peer) -> String { name.map { "\(peer.name)@\($0)" } ?? peer.name }
}

extension Figure {
  /// A line as a child prints it: part, value, unit.
  var line: String { "\(part)\t\(value)\t\(unit.rawValue)" }

  static func parse(_ text: String, from peer: String) throws -> [Figure] {
    try text.split(separator: "\n").map { line in
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard fields.count == 3, let value = Double(fields[1]), let unit = Unit(rawValue: fields[2]) else {
        throw Wrong(description: "\(peer) printed a line that is no figure: \(line)")
      }
      return Figure(part: fields[0], value: value, unit: unit)
    }
  }
}

extension [Double] {
  var spread: Double {
    guard let least = self.min(), let greatest = self.max(), median > 0 else { return 0 }
    return (greatest - least) / 2 / median
  }

  var median: Double {
    let sorted = sorted()
    let middle = count / 2
    return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}
