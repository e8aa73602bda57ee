import Foundation
import UVLoop

/// What a scene has observed, for people and for programs.
enum Value {
  case text(String)
  case number(Int)
  case id(UInt64)
  case flag(Bool)
  case time(Duration)
  case thread(ThreadIdentity)

  static func error(_ error: any Error) -> Value { .text("\(error)") }

  var text: String {
    switch self {
    case .text(let text): text
    case .number(let number): "\(number)"
    case .id(let id): "\(id)"
    case .flag(let flag): "\(flag)"
    case .time(let time): "\(decimal(time, digits: 1)) ms"
    case .thread(let thread): "\(thread)"
    }
  }

  /// How wide its column is at least.
  var width: Int {
    switch self {
    case .text, .thread: 15  // The longest name of a thread on Linux.
    case .number: 6
    case .id: 15
    case .flag: 5
    case .time: 10
    }
  }

  /// Whether its column is aligned at the right.
  var isNumeric: Bool {
    switch self {
    case .number, .time: true
    case .text, .id, .flag, .thread: false
    }
  }

  /// A member of a JSON object. The words of its name are joined in camel case.
  func member(named name: String) -> String {
    let words = name.split(separator: " ")
    let key = words.prefix(1).joined() + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    return switch self {
    case .text(let text): "\(quoted(key)):\(quoted(text))"
    case .time(let time): "\(quoted(key + "Ms")):\(decimal(time, digits: 3))"
    case .thread(let thread):
      "\(quoted(key)):{\"name\":\(quoted(thread.name)),\"id\":\(thread.id),\"kernelID\":\(thread.kernelID)}"
    case .number, .id, .flag: "\(quoted(key)):\(self.text)"
    }
  }

  /// Milliseconds, cut after so many digits.
  private func decimal(_ time: Duration, digits: Int) -> String {
    let microseconds = Int((time / .microseconds(1)).rounded(.towardZero))
    let fraction = String(1_000 + microseconds.magnitude % 1_000).dropFirst().prefix(digits)
    return "\(microseconds < 0 ? "-" : "")\(microseconds.magnitude / 1_000).\(fraction)"
  }

  private func quoted(_ text: String) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    // A text can always be encoded.
    return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
  }
}
