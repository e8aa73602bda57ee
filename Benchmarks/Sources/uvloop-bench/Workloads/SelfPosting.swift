import CPeers

extension Workload {
  /// A callback posts the next one.
  static let selfPosting = Workload(
    name: "W1c.selfpost", title: "a callback posts the next one, in a chain", size: 1_000_000, quickSize: 200_000,
    peers: [
      Peer("c-uv-drain") { try .throughput($0, peer_selfpost_drain($0)) },
      Peer("c-uv-tick") { try .throughput($0, peer_selfpost_tick($0)) },
      Peer("uvloop-swift") { try await chain($0, on: UVLoopQueue()) },
      Peer("nio") { try await chain($0, on: NIOQueue()) },
      Peer("dispatch") { try await chain($0, on: DispatchSerialQueuePeer()) },
    ] + Script.all)

  static func chain(_ count: Int, on queue: some SerialQueue) async throws -> [Figure] {
    let tally = Tally(count)
    let watch = Stopwatch()
    queue.post { link(0, of: count, tally, queue) }
    tally.waitBlocking()
    let figures = watch.throughput(count)
    try await queue.end()
    try tally.check()
    return figures
  }

  private static func link(_ id: Int, of count: Int, _ tally: Tally, _ queue: some SerialQueue) {
    tally.mark(id)
    if id + 1 < count { queue.post { link(id + 1, of: count, tally, queue) } }
  }
}
