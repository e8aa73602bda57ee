import ArgumentParser
import Foundation
import UVLoop

/// Signals arrive on the loop, one after the other, as the elements of a sequence: ordinary code, no signal handler.
struct CountSignals: Scene {
  static let name = "signals"
  static let title = "Signals arrive on the loop"
  static let example = "--count 1 --within 10s"

  @Option(in: 1...1_000, "How many signals to wait for") var count = 3
  @Option(in: "1ms"..."1h", "How long to wait for them") var within: Span = "30s"
  @Flag(help: "Send SIGUSR1 to this process instead of waiting for Ctrl-C.") var send = false
  @OptionGroup var format: FormatOptions

  var countsInterrupts: Bool { !send }

  func play(on loop: EventLoop, _ output: Output) throws {
    try loop.runBlocking { loop in
      let start = loop.clock.now
      var number = 0
      var ending = "the count"
      do {
        try await loop.withTimeout(within.duration) {
          // Watches from here on. With --send Ctrl-C is left to the program.
          var signals = try loop.signals(send ? .user1 : .interrupt, send ? .user1 : .terminate).makeAsyncIterator()
          output.fact("process", .number(Int(getpid())))
          output.fact(
            "waiting for",
            .text(send ? "SIGUSR1 from this process itself" : "Ctrl-C, or SIGTERM, which ends it at once"))
          while number < count {
            if send { kill(getpid(), SIGUSR1) }
            guard let signal = try await signals.next(isolation: loop) else { throw CancellationError() }
            output.overwriteEcho()
            number += 1
            output.row(
              "signal",
              [
                "signal": .number(number), "name": .text("\(signal)"),
                "after": .time(start.duration(to: loop.clock.now)), "isCurrent": .flag(loop.isCurrent),
              ])
            if signal == .terminate {
              ending = "SIGTERM"
              break
            }
          }
        }
      } catch let error as UVError where error.code == .timedOut {
        ending = "the limit of \(within)"
      }
      output.fact("signals", .text("\(number) of \(count)"))
      output.fact("ended by", .text(ending))
    }
  }
}
