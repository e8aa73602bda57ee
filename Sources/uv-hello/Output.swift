import Foundation
import UVLoop

/// What a scene says: as aligned text of at most 80 columns for people, or as one JSON object a line for programs.
///
/// An object has the keys `scene` and `fact`. A fact has its `value`, a row one key for each column; times are in
/// milliseconds, and their keys end in `Ms`.
final class Output: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  let isJSON: Bool
  private let scene: String
  private let lock = NSLock()
  private var columnsOfLastRow: [String] = []
  private var marks = 0
  private var isSilent = false

  init(scene: String, isJSON: Bool) {
    self.scene = scene
    self.isJSON = isJSON
  }

  /// A heading, for people only.
  func title(_ text: String) {
    if !isJSON { write(paint("1", text) + "\n") }
  }

  /// A sentence.
  func say(_ text: String) {
    write(isJSON ? object("says", [("value", .text(text))]) : "   \(text)\n")
  }

  /// A label of at most 19 characters, and what belongs to it.
  func fact(_ label: String, _ value: Value) {
    if isJSON { return write(object(label, [("value", value)])) }
    let margin = 23
    let gap = String(repeating: " ", count: max(1, margin - 3 - label.count))
    write("   " + paint("36", label) + gap + value.text.wrapped(from: margin, margin: margin) + "\n")
  }

  /// A row of a table, written at once. The first one, and one with other columns, comes below the columns' titles.
  func row(_ fact: String, _ cells: KeyValuePairs<String, Value>) {
    if isJSON { return write(object(fact, cells.map { ($0.key, $0.value) })) }
    let titles = cells.map(\.key)
    let isNew = lock.withLock {
      defer { columnsOfLastRow = titles }
      return columnsOfLastRow != titles
    }
    func line(_ texts: [String]) -> String {
      var line = "  "
      for (text, cell) in zip(texts, cells) {
        let gap = String(repeating: " ", count: max(0, max(cell.key.count, cell.value.width) - text.count))
        line += "  " + (cell.value.isNumeric ? gap + text : text + gap)
      }
      return String(line.dropFirst().reversed().drop { $0 == " " }.reversed())
    }
    if isNew { write(paint("36", line(titles)) + "\n") }
    write(line(cells.map(\.value.text)) + "\n")
  }

  /// Draws a mark behind the last one, where somebody looks.
  func draw(_ mark: String) {
    if isJSON || !Terminal.isTerminal { return }
    lock.withLock {
      if isSilent { return }
      let isFull = marks > 0 && marks % 38 == 0
      Terminal.write((isFull ? "\n" : "") + (isFull || marks == 0 ? "   " : " ") + mark)
      marks += 1
    }
  }

  /// A terminal writes `^C` where its cursor stands: the next line goes there.
  func overwriteEcho() {
    if Terminal.isTerminal { lock.withLock { Terminal.write("\r") } }
  }

  /// From now on nothing is written: the program is about to end, and what fails because of that is no news.
  func silence() { lock.withLock { isSilent = true } }

  private func write(_ line: String) {
    lock.withLock {
      if isSilent { return }
      Terminal.write((marks > 0 ? "\n" : "") + line)
      marks = 0
    }
  }

  private func paint(_ code: String, _ text: String) -> String {
    Terminal.hasColours ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }

  private func object(_ fact: String, _ fields: [(key: String, value: Value)]) -> String {
    let members = [("scene", Value.text(scene)), ("fact", Value.text(fact))] + fields.map { ($0.key, $0.value) }
    return "{" + members.map { $1.member(named: $0) }.joined(separator: ",") + "}\n"
  }
}

extension StringProtocol {
  /// Broken between words, so that no line goes beyond column 80.
  ///
  /// - Parameters:
  ///   - column: Where the first line begins.
  ///   - margin: Where the others do.
  func wrapped(from column: Int = 0, margin: Int) -> String {
    var column = column
    var text = ""
    for word in split(separator: " ") {
      if text.isEmpty {
        column += word.count
      } else if column + 1 + word.count > 80 {
        text += "\n" + String(repeating: " ", count: margin)
        column = margin + word.count
      } else {
        text += " "
        column += 1 + word.count
      }
      text += word
    }
    return text
  }
}
