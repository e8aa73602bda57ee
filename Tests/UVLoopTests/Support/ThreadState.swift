@testable import UVLoop

extension Process {
  /// Whether the kernel has put the thread to sleep: it waits for something, or has ended.
  static func isAsleep(_ thread: UInt64) -> Bool {
    // The name, in brackets, may hold anything; the state stands behind the last one.
    let stat = contents(of: "/proc/self/task/\(thread)/stat")
    guard let end = stat.lastIndex(of: ")") else { return true }
    return stat[end...].dropFirst(2).first == "S"
  }
}
