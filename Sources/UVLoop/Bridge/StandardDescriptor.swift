/// The three descriptors that a process begins with.
enum StandardDescriptor: Int32, CaseIterable, Sendable {
  case input, output, error

  /// Which of them were open, at the first look. What is opened later takes the numbers of those that were not.
  private static let found = allCases.map { Posix.isOpen($0.rawValue) }

  /// Looks. Call it before the first loop opens anything.
  static func inspect() { _ = found }

  /// Whether it was open when the first loop began.
  var wasOpen: Bool { Self.found[Int(rawValue)] }
}
