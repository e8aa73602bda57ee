import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What ``EventLoop/Options/debug`` switches on: everything that helps to find a fault, told on standard error.
enum DebugMode {
  /// Whether the environment asks for it, for all loops of the process. Read once.
  static let isWanted = unsafe getenv("UVLOOP_DEBUG").map { unsafe String(cString: $0) } == "1"

  private static let threshold = Duration.milliseconds(100)

  static func begin(_ monitor: LoopMonitor, on core: LoopCore) {
    core.watch.setInterest([.sites], true)
    monitor.reportSlowCalls(over: threshold) { tell("\($0)") }
    do throws(UVError) {
      try monitor.startWatchdog(on: core, over: threshold, .urgentData) { tell("\($0)") }
    } catch {
      tell("loop \"\(core.name)\" has no watchdog: \(error)")
    }
  }

  /// Each line begins as the library's other line on standard error does.
  static func tell(_ text: String, _ trace: StackTrace? = nil) {
    Posix.write("UVLoop: \(text)\(trace.map { "\n\($0)" } ?? "")\n", to: STDERR_FILENO)
  }
}
