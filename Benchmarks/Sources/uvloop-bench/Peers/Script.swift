import Foundation

/// A peer in another language, where its interpreter is installed.
///
/// It is called with the workload's name and the number of operations, and prints its figures as `part<TAB>value<TAB>unit`;
/// it exits with 3 for a workload that it does not do.
struct Script: Sendable {
  let interpreter: String
  let file: String
  let arguments: [String]

  static let all: [Peer] = [
    Peer("asyncio", .script(Script(interpreter: "python3", file: "peers.py", arguments: ["asyncio"]))),
    Peer("uvloop", .script(Script(interpreter: "python3", file: "peers.py", arguments: ["uvloop"]))),
    Peer("node", .script(Script(interpreter: "node", file: "peers.mjs", arguments: []))),
  ]

  /// What they take for a workload is less by this factor: they are that much slower.
  static let slowness = 5

  /// The scripts are found beside this source, since the package is run where it is built.
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../Peers")

  func command(_ workload: String, _ size: Int) -> [String] {
    [interpreter, Script.folder.appending(path: file).standardized.path()] + arguments + [workload, "\(size)"]
  }
}
