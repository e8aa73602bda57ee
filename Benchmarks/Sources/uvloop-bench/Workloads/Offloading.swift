import CPeers
import Dispatch
import Glibc
import NIOCore
import NIOPosix
import UVLoop

extension Workload {
  /// Trivial jobs on a pool of four threads, 64 in flight, each of which ends on the loop.
  static let offloading = Workload(
    name: "W4.offload.64", title: "trivial jobs on the thread pool, 64 in flight", size: 200_000, quickSize: 20_000,
    placements: [.free, .oneCPU],
    peers: [
      Peer("c-uv") { try .throughput($0, peer_offload($0, 64)) },
      Peer("uvloop-swift") { try await offload($0, inFlight: 64).throughput },
      Peer("nio") { try await onNIO($0, inFlight: 64).throughput },
      Peer("nio-async") { try await onNIOAsync($0 / 5, inFlight: 64).throughput },
      Peer("dispatch") { try onDispatch($0, inFlight: 64).throughput },
      Peer("conc-detached") { try await detached($0, inFlight: 64).throughput },
    ] + Script.all)

  /// The same with one in flight: how long it takes.
  static let offloadLatency = Workload(
    name: "W4.offload.lat", title: "one trivial job on the thread pool at a time", size: 50_000, quickSize: 5_000,
    placements: [.free, .oneCPU],
    peers: [
      Peer("c-uv") { try .latencies($0, peer_offload_latency) },
      Peer("uvloop-swift") { try await offload($0, inFlight: 1).latencies },
      Peer("nio") { try await onNIO($0, inFlight: 1).latencies },
      Peer("nio-async") { try await onNIOAsync($0, inFlight: 1).latencies },
      Peer("dispatch") { try onDispatch($0, inFlight: 1).latencies },
      Peer("conc-detached") { try await detached($0, inFlight: 1).latencies },
    ] + Script.all)

  /// The same on a pool of one's own, where the peers have one.
  static let pooling = Workload(
    name: "W4.pool.64", title: "trivial jobs on a pool of one's own, 64 in flight", size: 200_000, quickSize: 20_000,
    placements: [.free, .oneCPU],
    peers: [
      Peer("c-uv") { try .throughput($0, peer_offload($0, 64)) },
      Peer("uvloop-swift") { try await pool($0, inFlight: 64).throughput },
      Peer("nio") { try await onNIO($0, inFlight: 64).throughput },
      Peer("nio-async") { try await onNIOAsync($0 / 5, inFlight: 64).throughput },
      Peer("dispatch") { try onDispatch($0, inFlight: 64).throughput },
    ] + Script.all)

  /// The same for tasks that do not hear of their cancellation once and for all.
  static let poolingWithoutScope = Workload(
    name: "W4.pool.64.noscope", title: "the same, each call with a cancellation handler of its own", size: 200_000,
    quickSize: 20_000, placements: [.free, .oneCPU],
    peers: [
      Peer("c-uv") { try .throughput($0, peer_offload($0, 64)) },
      Peer("uvloop-swift") { try await poolWithoutScope($0, inFlight: 64).throughput },
      Peer("nio-async") { try await onNIOAsync($0 / 5, inFlight: 64).throughput },
    ])

  /// The same with one in flight: how long it takes.
  static let poolLatency = Workload(
    name: "W4.pool.lat", title: "one trivial job on a pool of one's own at a time", size: 50_000, quickSize: 5_000,
    placements: [.free, .oneCPU],
    peers: [
      Peer("c-uv") { try .latencies($0, peer_offload_latency) },
      Peer("uvloop-swift") { try await pool($0, inFlight: 1).latencies },
      Peer("nio") { try await onNIO($0, inFlight: 1).latencies },
      Peer("nio-async") { try await onNIOAsync($0, inFlight: 1).latencies },
      Peer("dispatch") { try onDispatch($0, inFlight: 1).latencies },
    ] + Script.all)

  /// The peers that may have any number of threads.
  static func pooling(threads: Int) -> [Peer] {
    [
      Peer("c-uv") { count in
        setenv("UV_THREADPOOL_SIZE", "\(threads)", 1)
        return try .throughput(count, peer_offload(count, 64))
      },
      Peer("uvloop-swift") { try await pool($0, inFlight: 64, threads: threads).throughput },
      Peer("nio") { try await onNIO($0, inFlight: 64, threads: threads).throughput },
    ]
  }

  /// Hands out jobs until there have been enough. What a job does is to mark its id.
  private final class Jobs: @unchecked Sendable {  // Holds because the loop's thread takes and ends, one at a time.
    private let count: Int
    private let seen: Seen
    /// Nil where the throughput is measured: to read the clock twice for each job would count, too.
    private let times: Times?
    private var next = 0
    private var ended = 0
    private let watch = Stopwatch()
    private var figures: [Figure] = []
    let tally: Tally

    init(_ count: Int, inFlight: Int) {
      self.count = count
      seen = Seen(count)
      times = inFlight == 1 ? Times(count) : nil
      tally = Tally(count)
    }

    func take() -> Int? {
      if next == count { return nil }
      times?[next] = peer_now()
      next += 1
      return next - 1
    }

    func run(_ id: Int) { seen.mark(id) }

    func end(_ id: Int) {
      if let times { times[id] = peer_now() - times[id] }
      ended += 1
      if ended == count { figures = watch.throughput(count) }
      tally.mark(id)
    }

    /// After all have ended.
    func results() throws -> (throughput: [Figure], latencies: [Figure]) {
      try seen.check()
      try tally.check()
      return (figures, times.map { .latencies($0.all) } ?? [])
    }
  }

  private typealias Results = (throughput: [Figure], latencies: [Figure])

  private static func offload(_ count: Int, inFlight: Int) async throws -> Results {
    try await withEventLoop { loop in
      let jobs = Jobs(count, inFlight: inFlight)
      let tasks = (0..<inFlight).map { _ in
        loop.task { loop in
          while let id = jobs.take() {
            try await loop.offload { jobs.run(id) }
            jobs.end(id)
          }
        }
      }
      for task in tasks { try await task.value }
      return try jobs.results()
    }
  }

  private static func pool(_ count: Int, inFlight: Int, threads: Int = 4) async throws -> Results {
    try await withOffloadPool(threads: threads) { pool in
      try await withEventLoop { loop in
        let jobs = Jobs(count, inFlight: inFlight)
        let tasks = (0..<inFlight).map { _ in
          loop.task { loop in
            while let id = jobs.take() {
              try await loop.offload(on: pool) { jobs.run(id) }
              jobs.end(id)
            }
          }
        }
        for task in tasks { try await task.value }
        return try jobs.results()
      }
    }
  }

  private static func poolWithoutScope(_ count: Int, inFlight: Int) async throws -> Results {
    try await withOffloadPool(threads: 4) { pool in
      let loop = try EventLoop()
      let jobs = Jobs(count, inFlight: inFlight)
      let submitter = PoolSubmitter(on: loop)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<inFlight {
          group.addTask(executorPreference: loop.taskExecutor) { try await submitter.work(jobs, pool) }
        }
        try await group.waitForAll()
      }
      await loop.shutdown()
      return try jobs.results()
    }
  }

  private actor PoolSubmitter: LoopActor {
    nonisolated let loop: UVLoop.EventLoop
    init(on loop: UVLoop.EventLoop) { self.loop = loop }

    func work(_ jobs: Jobs, _ pool: OffloadPool) async throws {
      while let id = jobs.take() {
        try await pool.run { jobs.run(id) }
        jobs.end(id)
      }
    }
  }

  private static func onNIO(_ count: Int, inFlight: Int, threads: Int = 4) async throws -> Results {
    let pool = NIOThreadPool(numberOfThreads: threads)
    pool.start()
    let results = try await withNIOLoop { loop in
      let jobs = Jobs(count, inFlight: inFlight)
      @Sendable func submit() {
        guard let id = jobs.take() else { return }
        pool.runIfActive(eventLoop: loop) { jobs.run(id) }.whenComplete { _ in
          jobs.end(id)
          submit()
        }
      }
      loop.execute { for _ in 0..<inFlight { submit() } }
      await jobs.tally.wait()
      return try jobs.results()
    }
    try await pool.shutdownGracefully()
    return results
  }

  private static func onNIOAsync(_ count: Int, inFlight: Int) async throws -> Results {
    let pool = NIOThreadPool(numberOfThreads: 4)
    pool.start()
    let results = try await withNIOLoop { loop in
      let jobs = Jobs(count, inFlight: inFlight)
      await NIOSubmitter(loop).submit(jobs, pool, inFlight: inFlight)
      return try jobs.results()
    }
    try await pool.shutdownGracefully()
    return results
  }

  private actor NIOSubmitter {
    private nonisolated let loop: any NIOCore.EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }
    init(_ loop: any NIOCore.EventLoop) { self.loop = loop }

    func submit(_ jobs: Jobs, _ pool: NIOThreadPool, inFlight: Int) async {
      await withDiscardingTaskGroup { group in
        for _ in 0..<inFlight { group.addTask { await self.work(jobs, pool) } }
      }
    }

    private func work(_ jobs: Jobs, _ pool: NIOThreadPool) async {
      while let id = jobs.take() {
        try? await pool.runIfActive { jobs.run(id) }
        jobs.end(id)
      }
    }
  }

  private static func onDispatch(_ count: Int, inFlight: Int) throws -> Results {
    let jobs = Jobs(count, inFlight: inFlight)
    let queue = DispatchQueue(label: "bench")
    let pool = DispatchQueue.global()
    @Sendable func submit() {
      guard let id = jobs.take() else { return }
      pool.async {
        jobs.run(id)
        queue.async {
          jobs.end(id)
          submit()
        }
      }
    }
    queue.async { for _ in 0..<inFlight { submit() } }
    jobs.tally.waitBlocking()
    return try jobs.results()
  }

  private static func detached(_ count: Int, inFlight: Int) async throws -> Results {
    let jobs = Jobs(count, inFlight: inFlight)
    let submitter = Submitter()
    await withDiscardingTaskGroup { group in
      for _ in 0..<inFlight { group.addTask { await submitter.work(jobs) } }
    }
    return try jobs.results()
  }

  private actor Submitter {
    func work(_ jobs: Jobs) async {
      while let id = jobs.take() {
        await Task.detached { jobs.run(id) }.value
        jobs.end(id)
      }
    }
  }
}
