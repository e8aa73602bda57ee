import CPeers
import Dispatch
import NIOCore
import NIOPosix
import UVLoop

extension Growth {
  /// Threads that post to one loop.
  static let producers = Growth(
    "producers", "posts to one loop", over: "threads that post", doublings, size: 1_000_000, quickSize: 100_000
  ) { number in
    Workload.posting(producers: number).peers.filter { peer in
      if case .here = peer.work { true } else { false }
    }
  }

  /// Threads of a pool that runs short jobs, 64 at a time.
  static let threads = Growth(
    "threads", "trivial jobs on a pool, 64 in flight", over: "threads", doublings, size: 200_000, quickSize: 20_000
  ) { Workload.pooling(threads: $0) }

  /// Loops that one thread posts to, to each in turn.
  static let loops = Growth(
    "loops", "posts of one thread, to each loop in turn", over: "loops", doublings, size: 500_000, quickSize: 50_000
  ) { number in
    [
      Peer("uvloop-swift") { count in
        try await post(count, to: try (0..<number).map { _ in try UVLoopQueue() })
      },
      Peer("nio") { count in
        let group = MultiThreadedEventLoopGroup(numberOfThreads: number)
        let figures = try await post(count, to: (0..<number).map { _ in NIOGroupQueue(loop: group.next()) })
        try await group.shutdownGracefully()
        return figures
      },
      Peer("dispatch") { count in
        try await post(count, to: (0..<number).map { _ in DispatchSerialQueuePeer() })
      },
    ]
  }

  private static func post(_ count: Int, to queues: [some SerialQueue]) async throws -> [Figure] {
    // Each loop has a share of its own, which its thread alone counts.
    let tallies = queues.indices.map { Tally(share(of: $0, among: queues.count, of: count)) }
    let watch = Stopwatch()
    let thread = PlainThread {
      var id = 0
      while id < count {
        let queue = id % queues.count, tally = tallies[queue], place = id / queues.count
        queues[queue].post { tally.mark(place) }
        id += 1
      }
    }
    for tally in tallies { tally.waitBlocking() }
    let figures = watch.throughput(count)
    thread.join()
    for queue in queues { try await queue.end() }
    for tally in tallies { try tally.check() }
    return figures
  }

  private static func share(of queue: Int, among queues: Int, of count: Int) -> Int {
    (count - queue + queues - 1) / queues
  }

  /// One of a group's loops, which end together.
  private struct NIOGroupQueue: SerialQueue {
    let loop: any NIOCore.EventLoop

    @inline(__always)
    func post(_ work: consuming @escaping @Sendable () -> Void) { loop.execute(work) }

    func end() {}
  }

  /// Loops that exist at once: each is made, called once, and ended.
  static let lives = Growth(
    "lives", "time to make a loop, call it once, and end it", over: "loops at once", doublings, size: 512,
    quickSize: 64
  ) { number in
    [
      Peer("c-uv") { count in
        let count = whole(count, number)
        let result = peer_lives(count, number)
        return try each(count, seconds: result.seconds, wrong: result.wrong)
      },
      Peer("uvloop-swift") { count in
        try await live(whole(count, number), number) { ids, seen in
          let loops = try ids.map { _ in try UVLoop.EventLoop() }
          for (loop, id) in zip(loops, ids) { try loop.post { seen.mark(id) } }
          await withDiscardingTaskGroup { group in
            for loop in loops { group.addTask { _ = await loop.shutdown() } }
          }
        }
      },
      Peer("nio") { count in
        try await live(whole(count, number), number) { ids, seen in
          let group = MultiThreadedEventLoopGroup(numberOfThreads: number)
          for id in ids { group.next().execute { seen.mark(id) } }
          try await group.shutdownGracefully()
        }
      },
    ]
  }

  private static func whole(_ count: Int, _ atOnce: Int) -> Int { max(1, count / atOnce) * atOnce }

  private static func live(
    _ count: Int, _ atOnce: Int, _ run: (_ ids: Range<Int>, _ seen: Seen) async throws -> Void
  ) async throws -> [Figure] {
    let seen = Seen(count)
    let watch = Stopwatch()
    for first in stride(from: 0, to: count, by: atOnce) { try await run(first..<first + atOnce, seen) }
    let seconds = watch.seconds
    try seen.check()
    return try each(count, seconds: seconds, wrong: 0)
  }

  private static func each(_ count: Int, seconds: Double, wrong: Int) throws -> [Figure] {
    try Figure.requireNone(wrong, of: count)
    return [Figure(value: seconds * 1e6 / Double(count), unit: .microseconds)]
  }
}
