import Foundation

/// Where and when the figures were measured.
struct Machine: CustomStringConvertible {
  let processor: String
  let cpus: Int
  let system: String
  let date: String

  static var current: Machine {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let model = info.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
    var system = utsname()
    uname(&system)
    let release = withUnsafeBytes(of: system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return Machine(
      processor: model.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor",
      cpus: ProcessInfo.processInfo.activeProcessorCount, system: "Linux \(release)",
      date: Date.now.formatted(.iso8601.year().month().day()))
  }

  var description: String { "\(processor), \(cpus) CPUs, \(system), \(date)" }
}
