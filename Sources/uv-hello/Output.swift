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
  /// How many lines of the last picture stand above the cursor.
  private var rowsOfLastPicture = 0

  init(scene: String, isJSON: Bool) {
    self.scene = scene
    self.isJSON = isJSON
  }

  /// A heading, for people only.
  func title(_ text: String) {
    if !isJSON { write(paint("1", text) + "\n") }
  }

  /// A sentence.
  func say(_ text: String) { write(sentence(text)) }

  /// The line of a sentence, for who writes it himself.
  func sentence(_ text: String) -> String {
    isJSON ? object("says", ["value": .text(text)]) : "   \(text)\n"
  }

  /// A label of at most 19 characters, and what belongs to it.
  func fact(_ label: String, _ value: Value) { write(line(label, value)) }

  /// The line of a fact, for who writes it himself.
  func line(_ label: String, _ value: Value) -> String {
    if isJSON { return object(label, ["value": value]) }
    let margin = 23
    let gap = String(repeating: " ", count: max(1, margin - 3 - label.count))
    return "   " + paint("36", label) + gap + value.text.wrapped(from: margin, margin: margin) + "\n"
  }

  /// A row of a table, written at once.
  func row(_ fact: String, _ cells: KeyValuePairs<String, Value>) { write(table(fact, cells)) }

  /// The next row of a table, for who writes it himself. The first one, and one with other columns, comes below the
  /// columns' titles.
  func table(_ fact: String, _ cells: KeyValuePairs<String, Value>) -> String {
    if isJSON { return object(fact, Fields(cells)) }
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
    let heading = isNew ? paint("36", line(titles)) + "\n" : ""
    return heading + line(cells.map(\.value.text)) + "\n"
  }

  /// What can be seen at one moment: in the place of the picture before, on a terminal; as a block of its own
  /// elsewhere. For programs it is one object.
  ///
  /// A label has at most 19 characters. What is too wide is cut, and what does not fit in the terminal's rows left out.
  func picture(_ fact: String, _ rows: [(label: String, text: String)], _ fields: Fields) {
    if isJSON { return write(object(fact, fields)) }
    // In a file nobody needs rows that keep the place of others.
    let rows = Terminal.canMove ? rows : rows.filter { !$0.label.isEmpty || !$0.text.isEmpty }
    let (columns, height) = Terminal.size
    let lines = rows.prefix(height - 1).map { line($0, $1, columns) }
    if !Terminal.canMove { return write(lines.map { $0 + "\n" }.joined() + "\n") }
    let above = lock.withLock {
      defer { rowsOfLastPicture = lines.count }
      return rowsOfLastPicture
    }
    // Up to where the last one begins; each line to its end, since the old one may be longer; and what is below it.
    let up = above > 0 ? "\u{1B}[\(above)A" : ""
    write("\r" + up + lines.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J")
  }

  private func line(_ label: String, _ text: String, _ columns: Int) -> String {
    let margin = 23
    let start = "   " + label + String(repeating: " ", count: max(1, margin - 3 - label.count))
    let line = start + text
    let cut = line.count > columns ? line.prefix(max(0, columns - 1)) + "…" : line[...]
    return label.isEmpty || cut.count < start.count ? String(cut) : paint("36", start) + cut.dropFirst(start.count)
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

  private func object(_ fact: String, _ fields: Fields) -> String {
    (["scene": .text(scene), "fact": .text(fact)] + fields).json + "\n"
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
