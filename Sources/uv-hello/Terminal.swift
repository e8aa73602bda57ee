import Foundation

/// Writes to standard output at once: what is printed during a wait is seen during the wait, in a pipe too.
func say(_ line: String, terminator: String = "\n") {
  do {
    try FileHandle.standardOutput.write(contentsOf: Data((line + terminator).utf8))
  } catch {
    complain("uv-hello: standard output cannot be written: \(error.localizedDescription)")
    // Not `exit`, which waits for libuv's pool, and so for a call that waits for this thread.
    _exit(EXIT_FAILURE)
  }
}

/// Writes a line to standard error. If that fails nobody is left to be told.
func complain(_ line: String) {
  try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
}

/// Writes a label and what belongs to it, in lines of at most 80 characters.
func fact(_ label: String, _ text: String) {
  let margin = 23
  var line = "   " + padded(label, to: margin - 3)
  for word in text.split(separator: " ") {
    if line.count + 1 + word.count > 80 {
      say(line)
      line = padded("", to: margin)
    }
    line += " " + word
  }
  say(line)
}

/// Writes rows as lines whose columns are aligned.
func table(_ rows: [[String]]) {
  for row in rows {
    let cells = row.enumerated().map { column, cell in
      column == row.count - 1 ? cell : padded(cell, to: rows.map { $0[column].count }.max() ?? 0)
    }
    say("   " + cells.joined(separator: "   "))
  }
}

/// A duration in milliseconds.
func text(_ duration: Duration) -> String {
  let microseconds = Int(duration / .microseconds(1))
  return "\(microseconds / 1_000).\(microseconds % 1_000 / 100) ms"
}

private func padded(_ text: String, to width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}
