import ArgumentParser
import UVLoop

/// A time as it is typed: `250ms`, `1.5s`, `2m`, `1h`.
struct Span: ExpressibleByArgument, ExpressibleByStringLiteral, Comparable, CustomStringConvertible, Sendable {
  let duration: Duration
  let description: String

  init?(argument: String) {
    let units: [(name: String, milliseconds: Double)] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
    guard let unit = units.first(where: { argument.hasSuffix($0.name) }) else { return nil }
    let digits = argument.dropLast(unit.name.count)
    // A number that is larger than any range has no need of being exact. `Double` would also read "nan" and "0x10".
    guard digits.allSatisfy({ "0123456789.-".contains($0) }), let number = Double(digits) else { return nil }
    duration = .microseconds(Int64(max(-1e15, min(number * unit.milliseconds * 1_000, 1e15))))
    description = argument
  }

  /// For defaults and ranges.
  init(stringLiteral text: String) {
    guard let span = Span(argument: text) else { fatalError("\"\(text)\" is no time") }
    self = span
  }

  static func < (left: Span, right: Span) -> Bool { left.duration < right.duration }
}

extension Option where Value == Span {
  /// An option for a time. Its help and its refusals name the range, which is written once.
  init(wrappedValue: Span, name: NameSpecification = .long, in range: ClosedRange<Span>, _ help: String) {
    self.init(wrappedValue, name, in: range, help, "time", kind: "a time", such: ", such as 250ms or 1.5s") {
      Span(argument: $0)
    }
  }
}

extension Option where Value == Int {
  /// An option for a number. Its help and its refusals name the range, which is written once.
  init(wrappedValue: Int, in range: ClosedRange<Int>, _ help: String) {
    self.init(wrappedValue, .long, in: range, help, "number", kind: "a whole number", such: "") { Int($0) }
  }
}

extension Option where Value: Comparable & Sendable {
  private init(
    _ initial: Value, _ name: NameSpecification, in range: ClosedRange<Value>, _ help: String, _ valueName: String,
    kind: String, such: String, parse: @escaping @Sendable (String) -> Value?
  ) {
    let bounds = "from \(range.lowerBound) to \(range.upperBound)"
    self.init(
      wrappedValue: initial, name: name, parsing: .unconditional,  // Or `-5` would be taken for an option.
      help: .init("\(help), \(bounds). (default: \(initial))", valueName: valueName)
    ) { text in
      if let value = parse(text), range.contains(value) { return value }
      throw ValidationError("it must be \(kind) \(bounds)\(such).")
    }
  }
}

/// What every scene and the tour take.
struct FormatOptions: ParsableArguments {
  @Flag(help: "One JSON object a line. Times are in milliseconds, and their keys end in Ms.")
  var json = false
}
