import CPeers
import NIOCore
import NIOPosix
import UVLoop

extension Workload {
  /// Many timers are pending; a random one is cancelled and another one made.
  static let timerChurn = Workload(
    name: "W3a.timer.churn", title: "10,000 timers pend: cancel a random one and make another", size: 1_000_000,
    quickSize: 100_000,
    peers: timerPeers(pending: 10_000) + Script.all)

  /// Many timers are pending; a random one gets another time, as a time limit does whenever data comes.
  static let timerReschedule = Workload(
    name: "W3a.reschedule", title: "10,000 timers pend: a random one gets another time", size: 1_000_000,
    quickSize: 100_000,
    peers: [
      Peer("c-uv-close") { try .throughput($0, peer_churn_close($0, 10_000)) },
      Peer("c-uv-reuse") { try .throughput($0, peer_churn_reuse($0, 10_000)) },
      Peer("uvloop-swift") { count in
        try await withEventLoop { loop in try reschedule(count, 10_000, isolation: loop) }
      },
      Peer("uvloop-swift-handle") { count in
        try await withEventLoop { loop in try restart(count, 10_000, isolation: loop) }
      },
    ])

  /// Those who keep so many timers pending.
  static func timerPeers(pending: Int) -> [Peer] {
    [
      Peer("c-uv-close") { try .throughput($0, peer_churn_close($0, pending)) },
      Peer("c-uv-reuse") { try .throughput($0, peer_churn_reuse($0, pending)) },
      Peer("c-own-heap4") { try .throughput($0, peer_churn_heap($0, pending)) },
      Peer("uvloop-swift") { count in
        try await withEventLoop { loop in
          try churn(count, pending, start: { try loop.schedule(after: $0) {} }, cancel: { $0.cancel() })
        }
      },
      Peer("uvloop-swift-handle") { count in
        try await withEventLoop { loop in try restart(count, pending, isolation: loop) }
      },
      Peer("nio") { count in
        try await withNIOLoop { loop in
          try await loop.submit {
            try churn(
              count / 10, pending, start: { loop.scheduleTask(in: .nanoseconds($0.inNanoseconds)) {} },
              cancel: { $0.cancel() })
          }.get()
        }
      },
      Peer("nio-callback") { count in
        try await withNIOLoop { loop in
          try await loop.submit {
            let handler = Handler()
            return try churn(
              count / 10, pending,
              start: { try loop.scheduleCallback(in: .nanoseconds($0.inNanoseconds), handler: handler) },
              cancel: { $0.cancel() })
          }.get()
        }
      },
    ]
  }

  @inline(__always)
  private static func farAway(_ random: inout Random) -> Duration { .milliseconds(3_600_000 + random.below(60_000)) }

  private struct Handler: NIOScheduledCallbackHandler {
    func handleScheduledCallback(eventLoop: some NIOCore.EventLoop) {}
  }

  /// A timer counts as seen when it has been cancelled.
  private static func churn<Timer>(
    _ count: Int, _ pending: Int, start: (Duration) throws -> Timer, cancel: (Timer) -> Void
  ) throws -> [Figure] {
    let seen = Seen(count + pending)
    var random = Random()
    var timers = try (0..<pending).map { (id: $0, timer: try start(farAway(&random))) }
    let watch = Stopwatch()
    for id in pending..<pending + count {
      let victim = random.below(pending)
      seen.mark(timers[victim].id)
      cancel(timers[victim].timer)
      timers[victim] = (id, try start(farAway(&random)))
    }
    let figures = watch.throughput(count)
    for (id, timer) in timers {
      seen.mark(id)
      cancel(timer)
    }
    try seen.check()
    return figures
  }

  /// Timers that stay get another time, a random one each time.
  private static func move<Timer>(
    _ count: Int, _ pending: Int, start: (Duration) throws -> Timer, move: (Timer, Duration) throws -> Void,
    end: (Timer) -> Void
  ) throws -> [Figure] {
    let seen = Seen(count + pending)
    var random = Random()
    var ids = Array(0..<pending)
    let timers = try ids.map { _ in try start(farAway(&random)) }
    let watch = Stopwatch()
    for id in pending..<pending + count {
      let victim = random.below(pending)
      seen.mark(ids[victim])
      ids[victim] = id
      try move(timers[victim], farAway(&random))
    }
    let figures = watch.throughput(count)
    for (id, timer) in zip(ids, timers) {
      seen.mark(id)
      end(timer)
    }
    try seen.check()
    return figures
  }

  private static func reschedule(_ count: Int, _ pending: Int, isolation: isolated any LoopActor) throws -> [Figure] {
    try move(
      count, pending, start: { try isolation.loop.schedule(after: $0, isolation: isolation) {} },
      move: { $0.reschedule(after: $1) }, end: { $0.cancel() })
  }

  /// Starts handles anew: a timer that is started while it runs is stopped first, by libuv.
  private static func restart(_ count: Int, _ pending: Int, isolation: isolated any LoopActor) throws -> [Figure] {
    try move(
      count, pending,
      start: {
        let timer = try TimerHandle(isolation: isolation)
        try timer.start(after: $0) {}
        return timer
      }, move: { try $0.start(after: $1) {} }, end: { $0.close() })
  }
}

extension Duration {
  var inNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
