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

  static func begin(_ monitor: LoopMonitor, on loop: LoopCore) {
    DebugLog.process.open()
    loop.observation.setInterest([.sites], true)
    monitor.reportSlowCalls(over: threshold) { call in log { "\(call)" } }
    do throws(UVError) {
      try monitor.startWatchdog(on: loop, over: threshold, .urgentData) { stall in log { "\(stall)" } }
    } catch {
      let name = loop.name
      log { "loop \"\(name)\" has no watchdog: \(error)" }
    }
  }

  /// Each line begins as the library's other line on standard error does.
  static func log(_ text: @escaping @Sendable () -> String) { DebugLog.process.log { "UVLoop: \(text())\n" } }
}
