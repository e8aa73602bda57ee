/// How many characters fit into a terminal.
public struct TerminalSize: Hashable, Sendable {
  /// The characters of a line.
  public var columns: Int
  /// The lines.
  public var rows: Int

  /// A size; without arguments that of the oldest terminals, for where nobody knows it.
  public init(columns: Int = 80, rows: Int = 24) {
    self.columns = columns
    self.rows = rows
  }
}
