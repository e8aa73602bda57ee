// An actor that may block: each line is on the disk when its call returns.

import Foundation
import UVLoop

// snippet.journal
actor Journal: ThreadActor {
  nonisolated let thread: OffloadThread
  private let file: FileHandle

  init(at path: String) throws {
    thread = try OffloadThread(name: "journal")
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
  }

  func append(_ line: String) throws {
    try file.write(contentsOf: Data((line + "\n").utf8))
    // It may take long, and nobody else waits.
    try file.synchronize()
  }

  // On the thread, wherever the last reference goes.
  isolated deinit { try? file.close() }
}
// snippet.end

let path = NSTemporaryDirectory() + "journal-\(ProcessInfo.processInfo.processIdentifier)"
try await withEventLoop { loop in
  let journal = try Journal(at: path)
  for number in 1...3 {
    try await journal.append("entry \(number)")
    print(loop.isCurrent, journal.thread.statistics.queued)
  }
}
print(try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").count, "lines")
try FileManager.default.removeItem(atPath: path)
