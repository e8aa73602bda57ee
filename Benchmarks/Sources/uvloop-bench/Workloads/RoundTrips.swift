import CPeers
import Dispatch
import NIOCore
import NIOPosix
import Synchronization
import UVLoop

extension Workload {
  /// A thread posts and blocks until the closure has answered.
  static let roundTrips = Workload(
    name: "W2.roundtrip", title: "a thread posts to a loop and waits for the answer", size: 50_000, quickSize: 5_000,
    placements: [.free, .oneCPU],
    peers: [
      Peer("c-uv-mutex") { try .latencies($0, peer_roundtrip_mutex) },
      Peer("c-uv-evfd") { try .latencies($0, peer_roundtrip_eventfd) },
      Peer("c-uv-spin50us") { try .latencies($0, peer_roundtrip_spin) },
      Peer("uvloop-swift") { try await trips($0, to: UVLoopQueue()) },
      Peer("uvloop-swift-spin") { try await trips($0, to: UVLoopQueue(.init(spin: .microseconds(50))), looking: true) },
      Peer("nio") { try await trips($0, to: NIOQueue()) },
      Peer("dispatch") { try await trips($0, to: DispatchSerialQueuePeer()) },
    ] + Script.all)

  /// - Parameter looking: Whether the thread looks for its answer, for as long as the loop does, before it blocks.
  static func trips(_ count: Int, to queue: some SerialQueue, looking: Bool = false) async throws -> [Figure] {
    let seen = Seen(count)
    let answered = Answer(looking: looking)
    let done = Semaphore()
    let times = Times(count)
    let thread = PlainThread {
      for id in 0..<count {
        let began = peer_now()
        queue.post {
          seen.mark(id)
          answered.give(id)
        }
        answered.wait(for: id)
        times[id] = peer_now() - began
      }
      done.signal()
    }
    done.wait()
    thread.join()
    try await queue.end()
    try seen.check()
    return .latencies(times.all)
  }

  /// A task on the default executor awaits a method of an actor on the loop.
  static let hops = Workload(
    name: "W2a.hop", title: "a task elsewhere awaits a method of an actor on the loop", size: 50_000,
    quickSize: 5_000, placements: [.free, .oneCPU],
    peers: [
      Peer("c-uv") { try .latencies($0, peer_hop) },
      Peer("uvloop-swift") { count in
        // Not in the body of `withEventLoop`, which prefers the loop: the calls would come from there.
        let loop = try UVLoop.EventLoop()
        let figures = try await hop(count, LoopMeter(loop, Tally(count)))
        await loop.shutdown()
        return figures
      },
      Peer("nio-actor") { count in
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let figures = try await hop(count, NIOMeter(group.next(), Tally(count)))
        try await group.shutdownGracefully()
        return figures
      },
      Peer("dispatch-actor") { try await hop($0, DispatchMeter(Tally($0))) },
      Peer("conc") { try await hop($0, DefaultMeter(Tally($0))) },
    ])

  /// A task of the loop awaits a method of an actor on a thread of its own, which may block there.
  static let threadHops = Workload(
    name: "W2b.thread", title: "a task of the loop awaits a method of an actor on another thread", size: 50_000,
    quickSize: 5_000, placements: [.free, .oneCPU],
    peers: [
      Peer("uvloop-swift") { count in
        let thread = try OffloadThread()
        let figures = try await hopFromLoop(count, ThreadMeter(thread, Tally(count)))
        await thread.shutdown()
        return figures
      },
      Peer("dispatch-actor") { try await hopFromLoop($0, DispatchMeter(Tally($0))) },
      Peer("conc") { try await hopFromLoop($0, DefaultMeter(Tally($0))) },
    ])

  private static func hopFromLoop(_ count: Int, _ meter: some Meter) async throws -> [Figure] {
    let times = Times(count)
    try await withEventLoop { loop in
      // Isolated to the loop: each call begins and ends on its thread.
      await loop.task { _ in
        for id in 0..<count {
          let began = peer_now()
          await meter.mark(id)
          times[id] = peer_now() - began
        }
      }.value
    }
    try await meter.check()
    return .latencies(times.all)
  }

  @concurrent
  private static func hop(_ count: Int, _ meter: some Meter) async throws -> [Figure] {
    var times = [UInt64](repeating: 0, count: count)
    for id in 0..<count {
      let began = peer_now()
      await meter.mark(id)
      times[id] = peer_now() - began
    }
    try await meter.check()
    return .latencies(times)
  }
}

/// One entry for each operation, written by the thread that measures.
final class Times: @unchecked Sendable {  // Holds because one thread writes, and it has ended when others read.
  private(set) var all: [UInt64]
  init(_ count: Int) { all = [UInt64](repeating: 0, count: count) }

  subscript(_ index: Int) -> UInt64 {
    get { all[index] }
    set { all[index] = newValue }
  }
}

/// What a thread waits for: on a semaphore, after looking for a while if it is told to and whoever gives the answer
/// runs elsewhere.
private final class Answer: Sendable {
  private let semaphore = Semaphore()
  private let last = Atomic<Int>(-1)
  private let sleeps = Atomic<Bool>(false)
  private let giver = Atomic<Int32>(-1)
  private let looking: Bool

  init(looking: Bool) { self.looking = looking }

  func give(_ id: Int) {
    if !looking { return semaphore.signal() }
    giver.store(peer_cpu_number(), ordering: .relaxed)
    last.store(id, ordering: .sequentiallyConsistent)
    if sleeps.exchange(false, ordering: .sequentiallyConsistent) { semaphore.signal() }
  }

  func wait(for id: Int) {
    if !looking { return semaphore.wait() }
    if last.load(ordering: .acquiring) == id { return }
    let end = peer_now() + 50_000
    while giver.load(ordering: .relaxed) != peer_cpu_number() && peer_now() < end {
      if last.load(ordering: .acquiring) == id { return }
    }
    sleeps.store(true, ordering: .sequentiallyConsistent)
    if last.load(ordering: .sequentiallyConsistent) == id && sleeps.exchange(false, ordering: .sequentiallyConsistent) {
      return
    }
    semaphore.wait()
  }
}
