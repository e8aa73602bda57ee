import CPeers

extension Workload {
  /// Plain threads post closures, each with a context and an id.
  static func posting(producers: Int) -> Workload {
    Workload(
      name: producers == 1 ? "W1.post.1p" : "W1b.post.\(producers)p",
      title: "\(producers) plain thread\(producers == 1 ? "" : "s") post closures to a loop",
      size: 1_000_000, quickSize: 200_000, placements: [.free, .oneCPU],
      peers: [
        Peer("c-uv-mutex") { try .throughput($0, peer_post_mutex($0, producers)) },
        Peer("c-uv-array") { try .throughput($0, peer_post_array($0, producers)) },
        Peer("c-uv-evfd") { try .throughput($0, peer_post_eventfd($0, producers)) },
        Peer("uvloop-swift") { try await post($0, producers, to: UVLoopQueue()) },
        Peer("nio") { try await post($0, producers, to: NIOQueue()) },
        Peer("dispatch") { try await post($0, producers, to: DispatchSerialQueuePeer()) },
      ] + (producers == 1 ? Script.all : []))
  }

  private static func post(_ count: Int, _ producers: Int, to queue: some SerialQueue) async throws -> [Figure] {
    let tally = Tally(count)
    let (threads, start) = PlainThread.together(producers) { index in
      for id in count * index / producers..<count * (index + 1) / producers { queue.post { tally.mark(id) } }
    }
    let watch = Stopwatch()
    start()
    tally.waitBlocking()
    let figures = watch.throughput(count)
    for thread in threads { thread.join() }
    try await queue.end()
    try tally.check()
    return figures
  }
}
