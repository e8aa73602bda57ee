import CLibUV
import Foundation
import Testing

@testable import UVLoop

/// What holds for every request of the library. Who must keep one from being answered holds all workers, and the pool
/// is one per process.
@Suite(.alone) struct RequestLawsTests {
  @Test(arguments: Requesting.allCases)
  func `G-25 a request ends, on the loop and elsewhere, and is in no list afterwards`(_ kind: Requesting) async throws {
    try await withTestLoop { loop, _ in
      try await kind.ask(loop)
      try await loop.run { loop in try await kind.ask(loop) }
      await expectEventually { await !kind.isInFlight(on: loop) }
    }
  }

  @Test func `G-25 libuv writes into what the request keeps`() async throws {
    try await withTestLoop { loop, _ in
      let here = try await loop.random(32)
      let there = try await loop.run { loop in try await loop.random(32) }
      #expect(here.count == 32 && here != there)
    }
  }

  @Test func `G-25 a status below zero is thrown with the call's name`() async throws {
    try await withTestLoop { loop, _ in
      let error = await #expect(throws: UVError.self) {
        _ = unsafe try await loop.probe.request(.random, UV_RANDOM, "EventLoop.test") { _, _ in -22 }
      }
      #expect(error?.code == .invalidArgument && error?.call == "EventLoop.test")
    }
  }

  @Test(arguments: Requesting.allCases)
  func `G-25 in a task that is cancelled before it no request is submitted`(_ kind: Requesting) async throws {
    try await withTestLoop { loop, _ in
      let task = Task {
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        try await kind.ask(loop)
      }
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(await !kind.isInFlight(on: loop))
    }
  }

  @Test func `G-25 cancellation in the pool's queue ends the wait at once, and frees what was kept`() async {
    await #expect(processExitsWith: .success) {
      for kind in Requesting.pooled {
        try await withTestLoop { loop, _ in
          let gone = Counter()
          let held = try await HeldWorkers(4, on: loop)
          for hasScope in [true, false] {
            let ask: @Sendable () async throws -> Void = { try await kind.ask(loop, keeping: Witness(gone)) }
            let task = hasScope ? loop.task { _ in try await ask() } : Task { try await ask() }
            await expectEventually { await kind.isInFlight(on: loop) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
          }
          // libuv has let go of it though no worker is free.
          await expectEventually { gone.value == 2 }
          try await held.release()
        }
      }
    }
  }

  @Test func `G-25 a shutdown runs what was accepted or ends the wait, and waits for libuv`() async {
    await #expect(processExitsWith: .success) {
      let other = try EventLoop()
      for kind in Requesting.pooled {
        let loop = try EventLoop()
        let held = try await HeldWorkers(4, on: other)
        let task = Task { try await kind.ask(loop) }
        await expectEventually { await kind.isInFlight(on: loop) }
        let shutdown = Task { await loop.shutdown() }
        if kind.isRunByShutdown {
          await expectEventually { loop.state != .running }
          try await held.release()
          try await task.value
        } else {
          #expect(await codeOfError { try await task.value } == .loopClosed)
        }
        let report = await shutdown.value
        #expect(report.unfinished.isEmpty && report.foreignHandles.isEmpty, "\(report)")
        #expect(await codeOfError { try await kind.ask(loop) } == .loopClosed)
        try await held.release()
      }
      await other.shutdown()
    }
  }

  @Test func `G-25 requests in flight are named in snapshots, and are nobody else's`() async {
    await #expect(processExitsWith: .success) {
      for kind in Requesting.pooled {
        let other = try EventLoop()
        try await withTestLoop { loop, _ in
          let held = try await HeldWorkers(4, on: other)
          let task = Task { try await kind.ask(loop) }
          await expectEventually { await kind.isInFlight(on: loop) }
          let snapshot = await loop.snapshot()
          #expect(snapshot.foreignRequests == 0)
          #expect(snapshot.requests.map(\.kind) == (kind.isListedAsCall ? [] : [kind.rawValue]))
          #expect(snapshot.description.contains(kind.rawValue))
          try await held.release()
          try await task.value
          await expectEventually { await loop.snapshot().requests.isEmpty }
        }
        await other.shutdown()
      }
    }
  }

  @Test(arguments: Requesting.peers)
  func `G-25 a request to a silent peer is nobody else's, and ends with the loop`(_ kind: Requesting) async throws {
    try await withTestLoop { loop, _ in
      let task = Task { try await kind.askInVain(loop) }
      await expectEventually { await kind.isInFlight(on: loop) }
      #expect(await loop.snapshot().foreignRequests == 0)
      await loop.shutdown()
      #expect(await codeOfError { try await task.value } == .loopClosed)
      #expect(await codeOfError { try await kind.ask(loop) } == .loopClosed)
    }
  }

  @Test(arguments: Requesting.peers, [true, false])
  func `G-25 the wait for a silent peer ends with its task`(_ kind: Requesting, hasScope: Bool) async throws {
    try await withTestLoop { loop, _ in
      let task = hasScope ? loop.task { _ in try await kind.askInVain(loop) } : Task { try await kind.askInVain(loop) }
      await expectEventually { await kind.isInFlight(on: loop) }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      // The stream closes with its last reference, and libuv lets go of the request.
      await expectEventually { await !kind.isInFlight(on: loop) }
    }
  }

  /// Of the one test that needs a request which has begun: what libuv calls on a worker cannot capture them.
  private static let (hasBegun, mayEnd) = (Event("the begin of a request"), Event("the request"))

  @Test func `G-25 a result that comes when nobody waits any more is handed to whoever wants to know`() async throws {
    try await withTestLoop { loop, _ in
      let (late, gone) = (Event("the late result"), Counter())
      let task = Task {
        _ = unsafe try await loop.probe.request(
          .random, UV_WORK, "EventLoop.test", keeping: Witness(gone), unwanted: { _ in late.signal() }
        ) { loop, memory in
          unsafe uv_queue_work(
            loop, memory.bindMemory(to: uv_work_t.self, capacity: 1),
            { _ in
              RequestLawsTests.hasBegun.signal()
              RequestLawsTests.mayEnd.waitBlocking()
            }, { request, status in unsafe PendingRequest.finish(request?.pointee.data, status) })
        }
      }
      try await Self.hasBegun.wait()
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(gone.value == 0, "libuv still uses what was kept")
      Self.mayEnd.signal()
      try await late.wait()
      await expectEventually { gone.value == 1 }
    }
  }

  @Test(arguments: Requesting.pooled)
  func `the pool's threads have a name of their own, whatever is asked for first`(_ kind: Requesting) async {
    await #expect(processExitsWith: .success) { [kind] in
      let loop = try EventLoop()
      try await kind.ask(loop)
      // The loop's thread has their name while it makes them.
      await expectEventually {
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        let names = threads.map { try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8) }
        return names.count { $0 == "libuv-worker\n" } == 4
      }
      await loop.shutdown()
    }
  }

  @Test func `every request in the sources names a kind, and the laws hold all of them`() throws {
    var named: Set<String> = []
    for text in try librarySources() {
      for use in text.matches(of: /RequestKind\(rawValue: "(\w+)"\)/) { named.insert(String(use.output.1)) }
    }
    #expect(named == Set(Requesting.allCases.map(\.rawValue)).subtracting(["random"]))
  }
}
