import ArgumentParser
import Foundation
import UVLoop

/// Calls that block their thread, on libuv's pool. Meanwhile a timer ticks on the loop: its longest gap shows whether
/// anything blocked the loop.
struct Offload: Scene {
  static let name = "offload"
  static let title = "Calls that block, and a loop that does not"
  static let example = "--jobs 16 --block 100ms"

  @Option(in: 1...1_000, "How many calls") var jobs = 8
  @Option(in: "1ms"..."1m", "How long each of them blocks its thread") var block: Span = "250ms"
  @OptionGroup var format: FormatOptions

  func play(on loop: EventLoop, _ output: Output) throws {
    try loop.runBlocking { loop in
      let start = loop.clock.now
      var ticks: [EventLoop.Clock.Instant] = [start]
      let timer = try TimerHandle()
      try timer.start(after: .milliseconds(25), repeating: .milliseconds(25)) {
        ticks.append(loop.clock.now)
        output.draw("•")
      }

      var workers: Set<ThreadIdentity> = []
      try await withThrowingTaskGroup { group in
        for job in 1...jobs {
          group.addTask {
            try await loop.offload(label: "job \(job)") {
              try (job, blockThread(for: block.duration), loop.isCurrent)
            }
          }
        }
        for try await (job, worker, isCurrent) in group {
          workers.insert(worker)
          output.row(
            "job",
            [
              "job": .number(job), "ended after": .time(start.duration(to: loop.clock.now)),
              "worker": .text(worker.name), "kernel ID": .id(worker.kernelID),
              "isCurrent": .flag(isCurrent),
            ])
        }
      }
      timer.close()

      ticks.append(loop.clock.now)
      output.fact("blocked in all", .time(block.duration * jobs))
      output.fact("took", .time(start.duration(to: loop.clock.now)))
      output.fact("workers used", .text("\(workers.count) of \(ThreadPool.size)"))
      output.fact("ticks meanwhile", .number(ticks.count - 2))
      output.fact("longest gap", .time(zip(ticks, ticks.dropFirst()).map { $0.duration(to: $1) }.max() ?? .zero))
    }
  }
}

/// Blocks the calling thread, and says which one that was. Nobody can take back a call that has begun: it asks now and
/// then whether its result is still wanted.
func blockThread(for duration: Duration) throws -> ThreadIdentity {
  let end = ContinuousClock.now + duration
  while true {
    try Task.checkCancellation()
    let left = ContinuousClock.now.duration(to: end)
    if left <= .zero { return .current }
    Thread.sleep(forTimeInterval: min(left, .milliseconds(20)) / .seconds(1))
  }
}
