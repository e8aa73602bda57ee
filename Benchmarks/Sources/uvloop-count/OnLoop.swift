import CCounting
import UVLoop

extension Count {
  /// An actor on the loop that calls another one.
  private static func calls(_ meter: Meter, _ other: Meter) async -> (allocations: Double, wakes: Double) {
    await meter.call(other, 1)
    let (blocks, writes) = (counting_allocations(), counting_writes())
    await meter.call(other, rounds)
    return (
      Double(counting_allocations() - blocks) / Double(rounds), Double(counting_writes() - writes) / Double(rounds)
    )
  }

  /// A promise that a callback resumes.
  private static func answer(on loop: isolated EventLoop, isAwaited: Bool) async throws {
    let promise = try Promise<Int>()
    try loop.schedule(after: .zero) { promise.resume(returning: 1) }
    if isAwaited { _ = try await promise.value() } else { try await loop.sleep(for: .zero) }
  }

  /// On the loop's thread.
  static func onLoop(_ ledger: inout Ledger) async throws {
    ledger = try await withEventLoop { [ledger] loop in
      var ledger = ledger
      let calls = await calls(Meter(on: loop), Meter(on: loop))
      ledger.enter("await of another actor on the loop", "allocations", calls.allocations, atMost: 0)
      ledger.enter("await of another actor on the loop", "wakes", calls.wakes, atMost: 0)

      let sleeps = try await allocations { try await loop.sleep(for: .zero) }
      ledger.enter("sleep", "allocations", sleeps, atMost: 1)
      let writes = counting_writes()
      for _ in 0..<rounds { try await loop.sleep(for: .zero) }
      ledger.enter("sleep", "wakes", Double(counting_writes() - writes) / Double(rounds), atMost: 0)

      var ticks = try loop.ticks(every: .nanoseconds(1)).makeAsyncIterator()
      let ticked = try await allocations { _ = try await ticks.next(isolation: loop) }
      ledger.enter("tick", "allocations", ticked, atMost: 0)

      // The promise itself, its callback, and the wait.
      let promised = try await allocations { try await answer(on: loop, isAwaited: true) }
      let unawaited = try await allocations { try await answer(on: loop, isAwaited: false) }
      ledger.enter("await of a promise", "allocations", promised - (unawaited - sleeps), atMost: 1)

      let scheduled = try await allocations { try loop.schedule(after: .seconds(60)) {}.cancel() }
      ledger.enter("schedule and cancel", "allocations", scheduled, atMost: 2)

      let timer = try TimerHandle()
      try timer.start(after: .seconds(60)) {}
      let restarts = try await allocations {
        timer.stop()
        try timer.start(after: .seconds(60)) {}
      }
      ledger.enter("stop and start of a timer", "allocations", restarts, atMost: 0)
      timer.close()

      let async = try AsyncHandle {}
      let sender = async.sender
      let sends = await allocations { sender.send() }
      ledger.enter("send", "allocations", sends, atMost: 0)
      async.close()

      let offloads = try await allocations { try await loop.offload {} }
      ledger.enter("offload", "allocations", offloads, atMost: 2)
      return ledger
    }
  }
}
