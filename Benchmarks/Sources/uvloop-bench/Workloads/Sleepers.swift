import CPeers
import NIOCore
import NIOPosix
import Synchronization
import UVLoop

extension Workload {
  /// Very many tasks sleep at once.
  static let sleepers = Workload(
    name: "W3c.sleepers", title: "tasks each sleep up to 200 ms: CPU time of all", size: 100_000,
    quickSize: 10_000, warmsUp: false, isPerOperation: false,
    peers: [
      Peer("uvloop-swift") { count in
        try await withEventLoop { loop in
          let shots = Shots(count)
          for id in 0..<count {
            let delay = shots.delay(of: id)
            Task.detached(executorPreference: loop.taskExecutor) {
              try? await loop.sleep(for: delay)
              shots.fired(id)
            }
          }
          await shots.tally.wait()
          return try shots.figures()
        }
      },
      // On the default executor each one's end takes a lock: they come on many threads.
      Peer("conc") { count in
        let shots = Shots(count)
        let ends = Ends()
        for id in 0..<count {
          let delay = shots.delay(of: id)
          Task.detached {
            try? await Task.sleep(for: delay)
            ends.lock.withLock { _ in shots.fired(id) }
          }
        }
        await shots.tally.wait()
        return try shots.figures()
      },
      Peer("nio-actor") { count in
        try await withNIOLoop { loop in
          let shots = Shots(count)
          let sleeper = NIOSleeper(loop)
          await sleeper.spawn(count, shots)
          await shots.tally.wait()
          return try shots.figures()
        }
      },
    ] + Script.all)

  private final class Ends: Sendable {
    let lock = Mutex(())
  }

  private actor NIOSleeper {
    private nonisolated let loop: any NIOCore.EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }
    init(_ loop: any NIOCore.EventLoop) { self.loop = loop }

    func spawn(_ count: Int, _ shots: Shots) {
      for id in 0..<count {
        let delay = shots.delay(of: id)
        // Isolated to this actor only because it names it.
        Task { await sleep(id, delay, shots) }
      }
    }

    private func sleep(_ id: Int, _ delay: Duration, _ shots: Shots) async {
      try? await Task.sleep(for: delay)
      shots.fired(id)
    }
  }
}
