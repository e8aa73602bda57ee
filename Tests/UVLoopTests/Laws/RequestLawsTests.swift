import CLibUV
import Testing

@testable import UVLoop

/// What holds for every request that a task awaits, shown by one of libuv's pool. Who must keep it from being answered
/// holds all workers, and the pool is one per process.
@Suite(.alone) struct RequestLawsTests {
  @Test func `G-25 a request gives its result, on the loop and elsewhere, and is in no list afterwards`() async throws {
    try await withTestLoop { loop, _ in
      let here = try await loop.random(32)
      let there = try await loop.run { loop in try await loop.random(32) }
      #expect(here.count == 32 && here != there)
      #expect(await loop.run { $0.core.requests.inFlight.isEmpty })
    }
  }

  @Test func `G-25 a status below zero is thrown with the call's name`() async throws {
    try await withTestLoop { loop, _ in
      let error = await #expect(throws: UVError.self) {
        _ = unsafe try await loop.core.request(.random, UV_RANDOM, "EventLoop.test") { _, _ in -22 }
      }
      #expect(error?.code == .invalidArgument && error?.call == "EventLoop.test")
    }
  }

  @Test func `G-25 cancellation ends the wait, takes the request out of the queue, and frees what it kept`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let gone = Counter()
        let held = try await HeldWorkers(4, on: loop)
        for hasScope in [true, false] {
          let wait: @Sendable () async throws -> Void = { _ = try await loop.random(8, keeping: Witness(gone)) }
          let task = hasScope ? loop.task { _ in try await wait() } : Task { try await wait() }
          await expectEventually { await loop.run { $0.core.requests.inFlight.contains { $0.kind == .random } } }
          task.cancel()
          await #expect(throws: CancellationError.self) { try await task.value }
        }
        // libuv calls back though no worker is free.
        await expectEventually { await loop.run { !$0.core.requests.inFlight.contains { $0.kind == .random } } }
        await expectEventually { gone.value == 2 }
        try await held.release()
      }
    }
  }

  @Test func `G-25 in a task that is cancelled before it no request is submitted`() async throws {
    try await withTestLoop { loop, _ in
      let task = Task {
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        _ = try await loop.random(8)
      }
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(await loop.run { $0.core.requests.inFlight.isEmpty })
    }
  }

  @Test func `G-25 a shutdown ends the wait with loopClosed, and waits for the request`() async {
    await #expect(processExitsWith: .success) {
      let (loop, other) = (try EventLoop(), try EventLoop())
      let held = try await HeldWorkers(4, on: other)
      let task = Task { _ = try await loop.random(8) }
      await expectEventually { await loop.run { !$0.core.requests.inFlight.isEmpty } }
      let report = await loop.shutdown()
      #expect(await codeOfError { try await task.value } == .loopClosed)
      #expect(report.unfinished.isEmpty && report.foreignHandles.isEmpty, "\(report)")
      #expect(await codeOfError { _ = try await loop.random(8) } == .loopClosed)
      try await held.release()
      await other.shutdown()
    }
  }

  @Test func `G-25 requests in flight are named in snapshots, and are nobody else's`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let held = try await HeldWorkers(4, on: loop)
        let task = Task { _ = try await loop.random(8) }
        await expectEventually { await loop.snapshot().requests.map(\.kind) == ["random"] }
        #expect(await loop.snapshot().foreignRequests == 0)
        #expect(await loop.snapshot().description.contains("random"))
        try await held.release()
        try await task.value
        #expect(await loop.snapshot().requests.isEmpty)
      }
    }
  }

  @Test func `G-25 a result that comes when nobody waits any more is handed to whoever wants to know`() async throws {
    try await withTestLoop { loop, _ in
      let late = Counter()
      for _ in 0..<200 {
        let task = Task { try await loop.random(8, unwanted: { _ in late.add() }) }
        await loop.run { _ in }
        task.cancel()
        _ = await task.result
      }
      await expectEventually { await loop.run { $0.core.requests.inFlight.isEmpty } }
      #expect(late.value <= 200)
    }
  }
}
