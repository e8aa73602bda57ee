import UVLoop

extension Workload {
  /// What it costs to be watched, where each callback posts the next one.
  static let watchedPosts = Workload(
    name: "watched.selfpost", title: "a callback posts the next one, on a loop that is watched", size: 500_000,
    quickSize: 50_000, peers: watched { try await chain($0, on: $1) })

  /// The same where the loop sleeps in between.
  static let watchedTrips = Workload(
    name: "watched.roundtrip", title: "a thread posts and waits for the answer, on a loop that is watched",
    size: 50_000,
    quickSize: 5_000, placements: [.oneCPU], peers: watched { try await trips($0, to: $1) })

  /// A loop that nobody watches, and each way to watch one.
  private static func watched(
    _ measure: @escaping @Sendable (Int, UVLoopQueue) async throws -> [Figure]
  ) -> [Peer] {
    [
      Peer("uvloop-swift") { try await measure($0, UVLoopQueue()) },
      Peer("uvloop-swift-metrics") { try await measure($0, UVLoopQueue(.init(metrics: true))) },
      Peer("uvloop-swift-slow-calls") { count in
        let queue = try UVLoopQueue()
        try queue.loop.reportSlowCalls(over: .seconds(1)) { print($0) }
        return try await measure(count, queue)
      },
      Peer("uvloop-swift-watchdog") { count in
        let queue = try UVLoopQueue()
        try queue.loop.startWatchdog(over: .seconds(1)) { print($0) }
        return try await measure(count, queue)
      },
      Peer("uvloop-swift-debug") { try await measure($0, UVLoopQueue(.init(debug: true))) },
    ]
  }
}
