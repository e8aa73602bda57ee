import CCounting
import Foundation
import Synchronization
import UVLoop

extension Count {
  final class Tally: Sendable {
    let count = Atomic<Int>(0)
    private let last = Atomic<Int>(0)

    func mark(_ id: Int) {
      last.store(id, ordering: .relaxed)
      count.add(1, ordering: .releasing)
    }

    func wait(for count: Int) async {
      while self.count.load(ordering: .acquiring) < count { try? await Task.sleep(for: .milliseconds(1)) }
    }
  }

  /// From a thread that is not the loop's.
  static func posts(_ ledger: inout Ledger) async throws {
    let loop = try EventLoop()
    let tally = Tally()
    // The queues take their size from the first burst.
    for id in 0..<2 * rounds { try loop.post { tally.mark(id) } }
    await tally.wait(for: 2 * rounds)
    let before = counting_allocations()
    for id in 0..<rounds { try loop.post { tally.mark(id) } }
    let posts = counting_allocations() - before
    ledger.enter("post", "allocations", Double(posts) / Double(rounds), atMost: 1)
    await tally.wait(for: 3 * rounds)

    // The least of five: a loop that is faster than the thread that posts goes to sleep in between.
    let burst = 100_000
    var wakes: [UInt64] = []
    for round in 1...5 {
      let before = counting_writes()
      for id in 0..<burst { try loop.post { tally.mark(id) } }
      await tally.wait(for: 3 * rounds + round * burst)
      wakes.append(counting_writes() - before)
    }
    ledger.enter("post of 100,000 in a burst", "wakes", Double(wakes.min() ?? 0), atMost: 2_000)
    await loop.shutdown()
  }

  /// A loop that has nothing to do.
  static func idle(_ ledger: inout Ledger) async throws {
    let loop = try EventLoop()
    _ = await loop.run { _ in 0 }
    let thread = loop.thread.kernelID
    // Asleep, and for good.
    while switches(of: thread) == nil || !isAsleep(thread) { try await Task.sleep(for: .milliseconds(1)) }
    let before = switches(of: thread)
    try await Task.sleep(for: .milliseconds(500))
    let after = switches(of: thread)
    guard let before, let after else { return }
    // A thread that makes no call and never runs is never switched to.
    ledger.enter("half a second of nothing to do", "runs of the loop's thread", Double(after - before), atMost: 0)
    await loop.shutdown()
  }

  private static func status(of thread: UInt64) -> [Substring] {
    let text = (try? String(contentsOfFile: "/proc/self/task/\(thread)/status", encoding: .utf8)) ?? ""
    return text.split(separator: "\n")
  }

  private static func isAsleep(_ thread: UInt64) -> Bool {
    status(of: thread).contains { $0.hasPrefix("State:") && $0.contains("S (sleeping)") }
  }

  /// How often the kernel has taken the CPU from a thread, asked or unasked.
  private static func switches(of thread: UInt64) -> Int? {
    let counts = status(of: thread).filter { $0.contains("ctxt_switches") }
      .compactMap { $0.split(separator: "\t").last.flatMap { Int($0) } }
    return counts.count == 2 ? counts[0] + counts[1] : nil
  }
}
