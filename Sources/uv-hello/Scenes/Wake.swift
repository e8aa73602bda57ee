import ArgumentParser
import Foundation
import UVLoop

/// Plain threads wake the loop. Wakes that come before the callback begins become one callback: how many there are in
/// the end differs from run to run.
struct Wake: Scene {
  static let name = "wake"
  static let title = "Other threads wake the loop"
  static let example = "--threads 8 --sends 10000"

  @Option(in: 1...64, "How many threads send") var threads = 4
  @Option(in: 1...1_000_000, "How often each of them sends") var sends = 250
  @OptionGroup var format: FormatOptions

  func play(on loop: EventLoop, _ output: Output) throws {
    try loop.runBlocking { loop in
      var callbacks = 0
      var elsewhere = 0
      let wake = try AsyncHandle {
        callbacks += 1
        if !loop.isCurrent { elsewhere += 1 }
      }
      let sender = wake.sender
      // The threads begin together, when the last one has started.
      let starting = DispatchGroup()
      for _ in 1...threads { starting.enter() }

      let sent = await withTaskGroup { group in
        for _ in 1...threads { group.addTask { await send(sends, by: sender, starting) } }
        return await group.reduce(into: []) { $0.append($1) }
      }
      // All are sent, and the last one may not have arrived. The next iteration of the loop finds it.
      try await loop.sleep(for: .zero)
      wake.close()

      for (thread, wakes) in sent {
        output.row(
          "sender", ["thread ID": .id(UInt64(thread.id)), "kernel ID": .id(thread.kernelID), "wakes": .number(wakes)])
      }
      output.fact("wakes sent", .number(sent.reduce(0) { $0 + $1.wakes }))
      output.fact("callbacks", .number(callbacks))
      output.fact("not on the loop", .number(elsewhere))
    }
  }

  /// Sends from a new thread, of which Swift Concurrency knows nothing, until the handle is closed.
  private func send(_ times: Int, by sender: AsyncHandle.Sender, _ starting: DispatchGroup) async -> (
    thread: ThreadIdentity, wakes: Int
  ) {
    await withCheckedContinuation { done in
      Thread.detachNewThread {
        starting.leave()
        starting.wait()
        var wakes = 0
        while wakes < times && sender.send() { wakes += 1 }
        done.resume(returning: (ThreadIdentity.current, wakes))
      }
    }
  }
}
