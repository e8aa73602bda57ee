@testable import UVLoop

extension Process {
  /// Whether the kernel has put the thread to sleep: it waits for something, or has ended.
  static func isAsleep(_ thread: UInt64) -> Bool {
    // The name, in brackets, may hold anything; the state stands behind the last one.
    let stat = contents(of: "/proc/self/task/\(thread)/stat")
    guard let end = stat.lastIndex(of: ")") else { return true }
    return stat[end...].dropFirst(2).first == "S"
  }

  /// Whether the signal was sent to the thread, which blocks it.
  static func isPending(_ signal: Int32, on thread: UInt64) -> Bool {
    let lines = contents(of: "/proc/self/task/\(thread)/status").split(separator: "\n")
    let set = lines.first { $0.hasPrefix("SigPnd:") }?.split(separator: "\t").last
    return set.flatMap { UInt64($0, radix: 16) }.map { $0 >> UInt64(signal - 1) & 1 == 1 } ?? false
  }
}
