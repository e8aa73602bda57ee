import Foundation

/// A peer in another language, where its interpreter is installed.
///
/// It is called with the workload's name and the number of operations, and prints its figures as
/// `part<TAB>value<TAB>unit`; it exits with 3 for a workload that it does not do.
struct Script: Sendable, Hashable {
  private var interpreter: String
  private let file: String
  /// Of the servers.
  private let serverFile: String
  private let arguments: [String]
  /// What helps where the interpreter is there and the peer is not.
  private let remedy: String

  private static let named: [(name: String, script: Script)] = [
    ("asyncio", python("asyncio", remedy: "")),
    ("uvloop", python("uvloop", remedy: "`python3 -m pip install uvloop` adds it.")),
    (
      "node",
      Script(interpreter: "node", file: "peers.mjs", serverFile: "servers.mjs", arguments: [], remedy: "")
    ),
  ]

  private static func python(_ name: String, remedy: String) -> Script {
    Script(interpreter: "python3", file: "peers.py", serverFile: "servers.py", arguments: [name], remedy: remedy)
  }

  static func named(_ name: String) -> Script? { named.first { $0.name == name }?.script }

  static let all = named.map { Peer($0.name, .script($0.script)) }

  /// The same, with their start measured.
  static let starts = named.map { Peer($0.name, .scriptStart($0.script)) }

  /// What they take for a workload is less by this factor: they are that much slower.
  static let slowness = 5

  /// The scripts are found beside this source, since the package is run where it is built.
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../Peers")

  func command(_ arguments: String...) -> [String] { run(file) + arguments }

  /// It takes what it is to do, which the load says.
  func serverCommand() -> [String] { run(serverFile) }

  private func run(_ file: String) -> [String] {
    [interpreter, Script.folder.appending(path: file).standardized.path(percentEncoded: false)] + arguments
  }

  /// This script with its interpreter's own path, since what is on the PATH may be a script that looks for it, which
  /// would count as start-up. Throws where it cannot run here.
  fileprivate func resolved() throws -> Script {
    if Command.find(interpreter) == nil { throw Wrong(description: "There is no '\(interpreter)' on the PATH.") }
    guard let path = try Command(command("interpreter"), on: .free).run() else {
      throw Wrong(description: "\(interpreter) does not have it. \(remedy)")
    }
    var script = self
    script.interpreter = path.trimmingCharacters(in: .newlines)
    return script
  }
}

/// Leaves out the scripts that cannot run on this machine, and says so, once for each.
struct Scripts {
  private var known: [Script: Script?] = [:]

  mutating func runnable(_ peers: [Peer]) -> [Peer] {
    peers.compactMap { peer in
      switch peer.work {
      case .here, .program, .server(.program, _): peer
      case .script(let script): find(script, peer.name).map { Peer(peer.name, .script($0)) }
      case .scriptStart(let script): find(script, peer.name).map { Peer(peer.name, .scriptStart($0)) }
      case .server(.script(let script), let load):
        find(script, peer.name).map { Peer(peer.name, .server(.script($0), load)) }
      }
    }
  }

  private mutating func find(_ script: Script, _ name: String) -> Script? {
    if let found = known[script] { return found }
    do {
      known[script] = .some(try script.resolved())
    } catch {
      known[script] = .some(nil)
      Output.warn("Skipping \(name): \(error)")
    }
    return known[script] ?? nil
  }
}
