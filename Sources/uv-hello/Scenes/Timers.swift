import ArgumentParser
import UVLoop

/// A rhythm. The nominal moments do not drift, and no tick is early.
struct Timers: Scene {
  static let name = "timers"
  static let title = "Ticks on the loop, and how late they are"
  static let example = "--every 50ms --count 20"

  @Option(in: "1ms"..."1h", "The time from tick to tick") var every: Span = "200ms"
  @Option(in: 1...100_000, "How many ticks") var count = 5
  @OptionGroup var format: FormatOptions

  func play(on loop: EventLoop, _ output: Output) throws {
    try loop.runBlocking { loop in
      let start = loop.clock.now
      var number = 0
      var worst = Duration.zero
      // An element is the moment for which the tick was meant.
      for try await nominal in try loop.ticks(every: every.duration) {
        let now = loop.clock.now
        let late = nominal.duration(to: now)
        number += 1
        worst = max(worst, late)
        output.row(
          "tick",
          [
            "tick": .number(number), "after": .time(start.duration(to: now)), "late by": .time(late),
            "isCurrent": .flag(loop.isCurrent),
          ])
        if number == count { break }
      }
      output.fact("late by at most", .time(worst))
    }
  }
}
