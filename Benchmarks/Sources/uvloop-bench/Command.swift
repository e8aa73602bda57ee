import CPeers
import Foundation

/// A program that is started, waited for and read.
struct Command {
  private let command: [String]
  private let placement: Placement

  /// This program.
  static let own = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()

  /// What a script exits with where it does not do what is asked.
  private static let declined: Int32 = 3

  init(_ command: [String], on placement: Placement = .free) {
    self.command = command
    self.placement = placement
  }

  /// What it printed; nil if it is not installed, or declined.
  func run(input: String? = nil) throws -> String? {
    guard let program = Command.find(command[0]) else { return nil }
    let process = Process()
    let pipe = Pipe()
    process.executableURL = program
    process.arguments = Array(command.dropFirst())
    process.standardOutput = pipe
    let source = input.map { _ in Pipe() }
    if let source { process.standardInput = source }
    // The CPUs that a thread may use are inherited by what it starts.
    try place(onOneCPU: placement == .oneCPU)
    defer { try? place(onOneCPU: false) }
    try process.run()
    if let source, let input {
      try source.fileHandleForWriting.write(contentsOf: Data(input.utf8))
      try source.fileHandleForWriting.close()
    }
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    if process.terminationReason == .exit && process.terminationStatus == Command.declined { return nil }
    if process.terminationReason != .exit || process.terminationStatus != 0 {
      throw Wrong(description: "`\(command.joined(separator: " "))` ended with \(process.terminationStatus)")
    }
    return String(decoding: output, as: UTF8.self)
  }

  private func place(onOneCPU: Bool) throws {
    let status = peer_place(onOneCPU ? 1 : 0)
    if status != 0 { throw Wrong(description: "sched_setaffinity failed with errno \(status)") }
  }

  /// Where a program is, as a shell would find it.
  static func find(_ name: String) -> URL? {
    if name.contains("/") { return URL(filePath: name) }
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    return path.split(separator: ":").lazy.map { URL(filePath: String($0)).appending(path: name) }
      .first { FileManager.default.isExecutableFile(atPath: $0.path(percentEncoded: false)) }
  }
}
