import Testing

/// A small program of a client, or two: one that the compiler must reject, and its twin that it accepts.
///
/// In its file a line that begins with the mark `rejected` is of the one, a line that begins with the mark `accepted`
/// of the other, and all the rest of both. The first lines say what the compiler must answer: each of its errors
/// contains one of them, and each of them is in one of its errors.
struct Fixture: Sendable, CustomTestStringConvertible {
  /// The behaviour that it shows.
  let group: String
  let name: String
  let diagnostics: [String]
  private let lines: [Substring]

  private static let header = "//rejected: "
  private static let rejectedMark = "/*rejected*/"
  private static let acceptedMark = "/*accepted*/"
  private static var folder: String { "\(Files.folder(of: #filePath))/Fixtures" }

  static let all: [Fixture] = Files.names(in: folder).flatMap { group in
    Files.names(in: "\(folder)/\(group)").map { Fixture(group: group, file: $0) }
  }

  /// Those that show one behaviour.
  static func of(_ group: String) -> [Fixture] { all.filter { $0.group == group } }

  private init(group: String, file: String) {
    self.group = group
    name = String(file.prefix { $0 != "." })
    lines = Files.text(of: "\(Fixture.folder)/\(group)/\(file)")
      .split(separator: "\n", omittingEmptySubsequences: false)
    diagnostics = lines.filter { $0.hasPrefix(Fixture.header) }.map { String($0.dropFirst(Fixture.header.count)) }
  }

  var isRejected: Bool { !diagnostics.isEmpty }

  var testDescription: String { name }

  /// How many lines each twin has for itself.
  var differences: (rejected: Int, accepted: Int) {
    (lines.count { isMarked($0, Fixture.rejectedMark) }, lines.count { isMarked($0, Fixture.acceptedMark) })
  }

  /// The text of a twin; lines of the other one are left empty, so that numbers stay.
  func source(rejected: Bool) -> String {
    let other = rejected ? Fixture.acceptedMark : Fixture.rejectedMark
    return lines.map { isMarked($0, other) ? "" : $0 }.joined(separator: "\n")
  }

  private func isMarked(_ line: Substring, _ mark: String) -> Bool { line.drop { $0 == " " }.hasPrefix(mark) }
}
