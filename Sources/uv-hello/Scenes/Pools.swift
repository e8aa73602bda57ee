import ArgumentParser
import Foundation
import UVLoop

/// Ten queries on a pool of three threads; and what many slow calls do to everybody else: on the pool that all share,
/// in a lane of that, and on a pool of their own.
struct Pools: Scene {
  static let name = "pools"
  static let title = "Pools of one's own, and whom they keep from waiting"
  static let example = "--calls 16 --block 100ms"

  @Option(in: 1...1_000, "How many slow calls there are") var calls = 64
  @Option(in: "1ms"..."10s", "How long each of them blocks its thread") var block: Span = "200ms"
  @OptionGroup var format: FormatOptions

  func play(on loop: EventLoop, _ output: Output) throws {
    let time = block.duration
    try loop.runBlocking { loop in
      output.say("Ten queries on three threads:")
      let start = loop.clock.now
      try await withOffloadPool(name: "db", threads: 3) { pool in
        try await pool.map(1...10, label: "query") { _ in
          try blockThread(for: .milliseconds(40))
        } onResult: { index, thread in
          output.row(
            "query",
            [
              "query": .number(index + 1), "ended after": .time(start.duration(to: loop.clock.now)),
              "thread": .text(thread.name), "kernel ID": .id(thread.kernelID),
            ])
        }
      }

      output.say("A name and a file, asked for behind \(calls) calls of \(block):")
      try await show("on libuv's pool", loop, output) {
        try await loop.offload(label: "slow") { try blockThread(for: time) }
      }
      let lane = try OffloadLane(name: "slow", limit: 2)
      try await show("in a lane of 2", loop, output) {
        try await loop.offload(in: lane, label: "slow") { try blockThread(for: time) }
      }
      try await withOffloadPool(name: "slow", threads: 4) { pool in
        try await show("on a pool of 4", loop, output) {
          try await loop.offload(on: pool, label: "slow") { try blockThread(for: time) }
        }
      }
    }
  }

  /// Sends the slow calls, and says how long others take meanwhile. When that is known the calls are cancelled that
  /// have not begun.
  private func show(
    _ place: String, _ loop: isolated EventLoop, _ output: Output,
    _ call: @escaping @Sendable () async throws -> ThreadIdentity
  ) async throws {
    await withTaskGroup(of: Void.self) { group in
      for _ in 1...calls { group.addTask { _ = try? await call() } }
      // They are all in line when it is this task's turn again.
      await Task.yield()
      let start = loop.clock.now
      async let name = loop.run { loop in
        _ = try await loop.resolve("localhost", port: 80)
        return start.duration(to: loop.clock.now)
      }
      async let file = loop.run { loop in
        _ = try await loop.offload(label: "file") { try Data(contentsOf: URL(fileURLWithPath: "/etc/hosts")) }
        return start.duration(to: loop.clock.now)
      }
      do {
        output.row(
          "behind slow calls",
          ["slow calls": .text(place), "the name took": .time(try await name), "the file took": .time(try await file)])
      } catch {
        output.fact("failed", .error(error))
      }
      group.cancelAll()
    }
  }
}
