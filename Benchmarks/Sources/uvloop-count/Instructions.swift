import Foundation

extension Count {
  /// Counts the instructions of each operation, the system's not among them: valgrind runs this program twice for each,
  /// with few operations and with many, and the difference is theirs alone. How busy the machine is does not matter.
  static func instructions() throws {
    guard let valgrind = find("valgrind") else {
      print("No instructions are counted here: it takes valgrind.")
      return
    }
    for operation in operations {
      let (few, many) = (2, 22)
      let before = try instructions(of: operation, batches: few, valgrind)
      let after = try instructions(of: operation, batches: many, valgrind)
      let each = Double(after - before) / Double((many - few) * batch)
      print("\(operation.name)\tinstructions\t\(String(format: "%.0f", each))")
      fflush(nil)
    }
  }

  /// In this process, for the one above.
  static func run(_ name: String, _ batches: String) async throws {
    guard let operation = operations.first(where: { $0.name == name }), let batches = Int(batches) else {
      throw Wrong(description: "There is no operation '\(name)'.")
    }
    try await operation.run(batches)
  }

  private static func instructions(of operation: Operation, batches: Int, _ valgrind: URL) throws -> Int {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = valgrind
    // Threads take turns fairly, since one that waits for another may look for it for a while first.
    process.arguments = [
      "--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=yes",
      URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().path(percentEncoded: false), "run", operation.name,
      "\(batches)",
    ]
    // What goes through a table costs the same each time.
    process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_DETERMINISTIC_HASHING": "1"]) { $1 }
    process.standardError = pipe
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    let line = text.split(separator: "\n").first { $0.contains("Collected : ") }
    guard process.terminationStatus == 0, let count = line?.split(separator: " ").last.flatMap({ Int($0) }) else {
      throw Wrong(description: "valgrind could not run \"\(operation.name)\":\n\(text)")
    }
    return count
  }

  private static func find(_ name: String) -> URL? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").lazy
      .map { URL(filePath: String($0)).appending(path: name) }
      .first { FileManager.default.isExecutableFile(atPath: $0.path(percentEncoded: false)) }
  }

  struct Wrong: Error, CustomStringConvertible {
    let description: String
  }
}
