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
  /// Of the whole, from 0 to 1.
  case share(Double)
  case list([Value])
  case object(Fields)

  static func error(_ error: any Error) -> Value { .text("\(error)") }

  var text: String {
    switch self {
    case .text(let text): text
    case .number(let number): "\(number)"
    case .id(let id): "\(id)"
    case .flag(let flag): "\(flag)"
    case .time(let time): "\(decimal(time, digits: 1)) ms"
    case .thread(let thread): "\(thread)"
    case .share(let share): "\(Int((share * 100).rounded())) %"
    case .list(let values): values.map(\.text).joined(separator: ", ")
    case .object(let members): members.all.map { "\($0.name) \($0.value.text)" }.joined(separator: " ")
    }
  }

  /// How wide its column is at least.
  var width: Int {
    switch self {
    case .text, .thread, .list, .object: 15  // The longest name of a thread on Linux.
    case .number: 6
    case .id: 15
    case .flag, .share: 5
    case .time: 10
    }
  }

  /// Whether its column is aligned at the right.
  var isNumeric: Bool {
    switch self {
    case .number, .time, .share: true
    case .text, .id, .flag, .thread, .list, .object: false
    }
  }

  /// A member of a JSON object. The words of its name are joined in camel case.
  func member(named name: String) -> String {
    let words = name.split(separator: " ")
    let key = words.prefix(1).joined() + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    return if case .time = self { "\(quoted(key + "Ms")):\(json)" } else { "\(quoted(key)):\(json)" }
  }

  private var json: String {
    switch self {
    case .text(let text): quoted(text)
    case .time(let time): decimal(time, digits: 3)
    case .thread(let thread): "{\"name\":\(quoted(thread.name)),\"id\":\(thread.id),\"kernelID\":\(thread.kernelID)}"
    case .number, .id, .flag: text
    case .share(let share): "\((share * 10_000).rounded() / 10_000)"
    case .list(let values): "[" + values.map(\.json).joined(separator: ",") + "]"
    case .object(let members): members.json
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

/// The members of a JSON object, in their order.
struct Fields: ExpressibleByDictionaryLiteral {
  struct Field {
    let name: String
    let value: Value
  }

  private(set) var all: [Field]

  init(_ fields: KeyValuePairs<String, Value>) { all = fields.map { Field(name: $0.key, value: $0.value) } }

  init(dictionaryLiteral fields: (String, Value)...) { all = fields.map { Field(name: $0.0, value: $0.1) } }

  /// Nothing is written for what is not there.
  mutating func add(_ name: String, _ value: Value?) {
    if let value { all.append(Field(name: name, value: value)) }
  }

  static func + (left: Fields, right: Fields) -> Fields {
    var sum = left
    sum.all += right.all
    return sum
  }

  var json: String { "{" + all.map { $0.value.member(named: $0.name) }.joined(separator: ",") + "}" }
}
