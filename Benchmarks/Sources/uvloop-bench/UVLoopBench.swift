import ArgumentParser
import Foundation

/// Measures UVLoop, raw libuv and other loops side by side.
@main
struct UVLoopBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "uvloop-bench", subcommands: [Measure.self, MeasureGrowth.self, RunOne.self],
    defaultSubcommand: Measure.self,
    // None, so that who asks for help without a subcommand gets that of the default one.
    helpNames: [])
}

/// One peer's run, in this process.
struct RunOne: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run-one", shouldDisplay: false)

  /// In seconds; the longest run takes a tenth of it.
  private static let limit: UInt32 = 300

  @Argument var workload: String
  @Argument var peer: String
  @Argument var size: Int

  func run() async throws {
    guard let workload = Workload.named(workload), let peer = workload.peers.first(where: { $0.name == peer }),
      case .here(let measure) = peer.work
    else { throw ValidationError("There is no peer '\(peer)' of a workload '\(workload)'.") }
    // A callback that never comes must not hold up the others' runs: the signal ends this one.
    alarm(RunOne.limit)
    if workload.warmsUp { _ = try await measure(max(1, size / 10)) }
    for figure in try await measure(size) { print(figure.line) }
  }
}
