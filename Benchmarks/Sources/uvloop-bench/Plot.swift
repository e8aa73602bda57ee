import Foundation

/// The medians as bars.
enum Plot {
  static func draw(_ record: Record, _ machine: Machine, to file: String) throws {}
}
