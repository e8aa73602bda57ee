import Dispatch
import Synchronization
import UVLoop

extension Count {
  /// What an operation costs in instructions.
  struct Operation: Sendable {
    let name: String
    /// Does it in so many batches of ``batch``: queues have their size after the first.
    let run: @Sendable (_ batches: Int) async throws -> Void
  }

  static let batch = 500

  /// None whose threads wait for each other in turn: how long a thread looks before it sleeps is not the operation's.
  static let operations: [Operation] = [
    Operation(name: "post from another thread, and its call") { batches in
      let loop = try EventLoop()
      try postWhileHeld(loop, batches)
      await loop.shutdown()
    },
    onLoop("post on the loop, and its call") { loop, count in
      let tally = Tally()
      for id in 0..<count { try loop.post { tally.mark(id) } }
      while tally.count.load(ordering: .relaxed) < count { try await loop.sleep(for: .zero) }
    },
    onLoop("await of another actor on the loop") { loop, count in
      let (meter, other) = (Meter(on: loop), Meter(on: loop))
      await meter.call(other, count)
    },
    onLoop("task on the loop, and its value") { loop, count in
      for _ in 0..<count { await loop.task { _ in }.value }
    },
    onLoop("sleep of no time") { loop, count in
      for _ in 0..<count { try await loop.sleep(for: .zero) }
    },
    // All others run in one task, which has a scope for the cancellation of its waits.
    withoutScope("sleep of no time, in a task without a scope") { loop, count in
      for _ in 0..<count { try await loop.sleep(for: .zero) }
    },
    onLoop("run of an asynchronous body") { loop, count in
      for _ in 0..<count { try await loop.run { _ in try await nothing() } }
    },
    withoutScope("run of an asynchronous body, which brings a scope") { loop, count in
      for _ in 0..<count { try await loop.run { _ in try await nothing() } }
    },
    onLoop("schedule and cancel") { loop, count in
      for _ in 0..<count { try loop.schedule(after: .seconds(3_600)) {}.cancel() }
    },
    onLoop("stop and start of a timer") { loop, count in
      let timer = try TimerHandle()
      for _ in 0..<count {
        timer.stop()
        try timer.start(after: .seconds(3_600)) {}
      }
      timer.close()
    },
    onLoop("life of a timer handle") { loop, count in
      for _ in 0..<count { try TimerHandle().close() }
      try await loop.sleep(for: .zero)
    },
    onLoop("promise, resumed and awaited") { loop, count in
      for _ in 0..<count {
        let promise = try Promise<Int>()
        try loop.schedule(after: .zero) { promise.resume(returning: 1) }
        _ = try await promise.value()
      }
    },
    onLoop("timeout of a sleep of no time") { loop, count in
      for _ in 0..<count { try await loop.withTimeout(.seconds(3_600)) { try await loop.sleep(for: .zero) } }
    },
    onLoop("offload, with 50 under way") { loop, count in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<50 {
          group.addTask { for _ in 0..<(count / 50) { try await loop.offload {} } }
        }
        try await group.waitForAll()
      }
    },
    onLoop("send") { loop, count in
      let async = try AsyncHandle {}
      let sender = async.sender
      for _ in 0..<count { sender.send() }
      async.close()
    },
  ]

  /// With `body` on the loop, once for each batch.
  private static func onLoop(
    _ name: String, _ body: @escaping @Sendable (_ loop: isolated EventLoop, _ count: Int) async throws -> Void
  ) -> Operation {
    Operation(name: name) { batches in
      try await withEventLoop { loop in
        for _ in 0..<batches { try await body(loop, batch) }
      }
    }
  }

  /// The same in a task that merely prefers the loop.
  private static func withoutScope(
    _ name: String, _ body: @escaping @Sendable (_ loop: EventLoop, _ count: Int) async throws -> Void
  ) -> Operation {
    Operation(name: name) { batches in
      try await withEventLoop { loop in
        try await Task.detached(executorPreference: loop.taskExecutor) { [loop] in
          for _ in 0..<batches { try await body(loop, batch) }
        }.value
      }
    }
  }

  /// It might wait.
  @inline(never)
  private static func nothing() async throws {}

  /// The loop waits while the posts come, and then runs them all: so each batch wakes it once.
  @available(*, noasync)
  private static func post(_ count: Int, to loop: EventLoop) throws {
    let (isHeld, mayGoOn) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let isDone = DispatchSemaphore(value: 0)
    try loop.post {
      isHeld.signal()
      mayGoOn.wait()
    }
    isHeld.wait()
    let tally = Tally()
    for id in 0..<count { try loop.post { tally.mark(id) } }
    try loop.post { isDone.signal() }
    mayGoOn.signal()
    isDone.wait()
  }

  private static func postWhileHeld(_ loop: EventLoop, _ batches: Int) throws {
    for _ in 0..<batches { try post(batch, to: loop) }
  }

  actor Meter: LoopActor {
    nonisolated let loop: EventLoop
    private var beats = 0
    init(on loop: EventLoop) { self.loop = loop }
    func beat() { beats += 1 }

    func call(_ other: Meter, _ count: Int) async {
      for _ in 0..<count { await other.beat() }
    }
  }
}
