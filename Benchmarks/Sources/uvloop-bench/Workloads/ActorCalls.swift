import CPeers
import NIOCore
import NIOPosix
import UVLoop

extension Workload {
  /// Detached tasks, each of which calls an actor on the loop.
  static let taskPosting = Workload(
    name: "W1t.task-post", title: "detached tasks each call an actor on the loop", size: 300_000, quickSize: 50_000,
    placements: [.free, .oneCPU],
    peers: [
      Peer("uvloop-swift") { count in
        // Not in the body of `withEventLoop`, which prefers the loop: it would be kept from its work by making tasks.
        let loop = try UVLoop.EventLoop()
        let figures = try await spawn(count) { LoopMeter(loop, $0) }
        await loop.shutdown()
        return figures
      },
      Peer("nio-actor") { count in
        try await withNIOLoop { loop in try await spawn(count) { NIOMeter(loop, $0) } }
      },
      Peer("conc") { try await spawn($0) { DefaultMeter($0) } },
    ])

  @concurrent
  private static func spawn(_ count: Int, _ meter: @Sendable (Tally) -> some Meter) async throws -> [Figure] {
    let tally = Tally(count)
    let meter = meter(tally)
    let watch = Stopwatch()
    for id in 0..<count { Task.detached { await meter.mark(id) } }
    await tally.wait()
    let figures = watch.throughput(count)
    try tally.check()
    return figures
  }

  /// A task gives way to others again and again.
  static let yielding = Workload(
    name: "W1y.yield", title: "a task on the loop's executor yields, in a chain", size: 300_000, quickSize: 20_000,
    peers: [
      Peer("uvloop-swift") { count in
        try await withEventLoop { loop in
          await loop.task { _ in await yield(count) }.value
        }
      },
      Peer("nio-actor") { count in
        try await withNIOLoop { loop in await Yielder(loop).yield(count / 10) }
      },
      Peer("conc") { count in await Task.detached { await yield(count) }.value },
    ])

  private static func yield(_ count: Int) async -> [Figure] {
    let watch = Stopwatch()
    for _ in 0..<count { await Task.yield() }
    return watch.throughput(count)
  }

  private actor Yielder {
    private nonisolated let loop: any NIOCore.EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }
    init(_ loop: any NIOCore.EventLoop) { self.loop = loop }
    func yield(_ count: Int) async -> [Figure] { await Workload.yield(count) }
  }

  /// An actor on the loop awaits a method of another one there.
  static let onLoopCalls = Workload(
    name: "W1d.onloop", title: "an actor on the loop calls another one there", size: 5_000_000, quickSize: 1_000_000,
    peers: [
      Peer("uvloop-swift") { count in
        let loop = try UVLoop.EventLoop()
        let figures = try await callOnLoop(count, loop)
        await loop.shutdown()
        return figures
      },
      // A task that prefers the loop asks the runtime for its preference at each call.
      Peer("uvloop-swift-task") { count in
        try await withEventLoop { loop in try await callOnLoop(count, loop) }
      },
      Peer("nio-actor") { count in
        try await withNIOLoop { loop in
          let callee = NIOMeter(loop, Tally(count))
          return try await call(count, callee) { await NIOMeter(loop, calling: callee).call(count) }
        }
      },
      Peer("conc") { count in
        let callee = DefaultMeter(Tally(count))
        return try await call(count, callee) { await DefaultMeter(calling: callee).call(count) }
      },
    ])

  private static func callOnLoop(_ count: Int, _ loop: UVLoop.EventLoop) async throws -> [Figure] {
    let callee = LoopMeter(loop, Tally(count))
    return try await call(count, callee) { await LoopMeter(loop, calling: callee).call(count) }
  }

  private static func call(_ count: Int, _ callee: some Meter, _ body: () async -> Void) async throws -> [Figure] {
    let watch = Stopwatch()
    await body()
    let seconds = watch.seconds
    try await callee.check()
    return [Figure(value: seconds * 1e9 / Double(count), unit: .nanoseconds)]
  }
}

/// Gives a body a loop of SwiftNIO's.
func withNIOLoop<R>(_ body: (any NIOCore.EventLoop) async throws -> R) async throws -> R {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let result: R
  do {
    result = try await body(group.next())
  } catch {
    try await group.shutdownGracefully()
    throw error
  }
  try await group.shutdownGracefully()
  return result
}
