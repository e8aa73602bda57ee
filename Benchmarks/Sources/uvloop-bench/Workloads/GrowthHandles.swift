import CPeers
import UVLoop

extension Growth {
  /// Handles open: one more is opened and closed.
  static let handles = Growth(
    "handles", "CPU time to open a handle and close it", over: "handles open", decades, size: 200_000,
    quickSize: 20_000, only: ".cpu"
  ) { number in
    [
      Peer("c-uv-timer") { try .throughput($0, peer_open_timers($0, number)) },
      Peer("c-uv-async") { try .throughput($0, peer_open_asyncs($0, number)) },
      Peer("uvloop-swift-timer") { count in
        try await withEventLoop { loop in
          try await openAndClose(
            count, number, on: loop, open: { try TimerHandle(isolation: $0) },
            close: { handle in
              handle.close()
              return handle.isClosed
            })
        }
      },
      Peer("uvloop-swift-async") { count in
        try await withEventLoop { loop in
          try await openAndClose(
            count, number, on: loop, open: { try AsyncHandle(isolation: $0) {} },
            close: { handle in
              handle.close()
              return handle.isClosed
            })
        }
      },
    ]
  }

  /// A handle counts as seen when it has been closed. Its memory goes when the loop turns: it turns once for a hundred.
  private static func openAndClose<Handle>(
    _ count: Int, _ others: Int, on loop: isolated EventLoop, open: (isolated EventLoop) throws -> Handle,
    close: (Handle) -> Bool
  ) async throws -> [Figure] {
    let seen = Seen(count + others)
    var kept: [Handle] = []
    for _ in 0..<others { kept.append(try open(loop)) }
    let watch = Stopwatch()
    for id in others..<others + count {
      if close(try open(loop)) { seen.mark(id) }
      if id % 100 == 99 { try await loop.sleep(for: .nanoseconds(1)) }
    }
    let figures = watch.throughput(count)
    for (id, handle) in kept.enumerated() where close(handle) { seen.mark(id) }
    try seen.check()
    return figures
  }

  /// Async handles open: one is sent to again and again. libuv looks at all of them after each wake.
  static let sends = Growth(
    "sends", "CPU time from a send to its callback", over: "async handles open", decades, size: 5_000,
    quickSize: 1_000, only: ".cpu"
  ) { number in
    [
      Peer("c-uv") { try .throughput($0, peer_sends($0, number)) },
      Peer("uvloop-swift") { count in
        try await withEventLoop { loop in try await send(count, number, on: loop) }
      },
    ]
  }

  private static func send(_ count: Int, _ others: Int, on loop: isolated EventLoop) async throws -> [Figure] {
    let tally = Tally(count)
    let chain = Chain()
    var kept: [AsyncHandle] = []
    for _ in 0..<others { kept.append(try AsyncHandle {}) }
    let handle = try AsyncHandle {
      tally.mark(chain.next)
      chain.next += 1
      if chain.next < count { chain.sender?.send() }
    }
    chain.sender = handle.sender
    let watch = Stopwatch()
    handle.sender.send()
    await tally.wait()
    let figures = watch.throughput(count)
    chain.sender = nil
    for handle in kept + [handle] { handle.close() }
    try tally.check()
    return figures
  }

  private final class Chain {
    var next = 0
    var sender: AsyncHandle.Sender?
  }
}
