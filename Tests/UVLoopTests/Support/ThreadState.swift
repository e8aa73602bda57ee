@testable import UVLoop

extension EventLoop {
  /// Whether the loop's thread sleeps: it waits in its poll, since it takes no locks for longer than an instant.
  nonisolated var isAsleep: Bool {
    // The name, in brackets, may hold anything; the state stands behind the last one.
    let stat = Process.contents(of: "/proc/self/task/\(thread.kernelID)/stat")
    guard let end = stat.lastIndex(of: ")") else { return false }
    return stat[end...].dropFirst(2).first == "S"
  }
}
