import CoreMetrics
import MetricsTestKit
import Testing
import UVLoop
import UVLoopInstrumentation

/// Each test has a backend of its own.
@Suite(.timeLimit(.minutes(2))) struct OffloadInstrumentsTests {
  @Test func `a pool's say what waits and runs, and how long that took since the report before`() async throws {
    let backend = TestMetrics()
    let pool = try OffloadPool(name: "db", threads: 1)
    let instruments = OffloadInstruments(of: pool, dimensions: [("host", "a")], factory: backend)
    let release = Release()
    try pool.submit { release.wait() }
    await release.waitForTheCall()
    try pool.submit { spin(for: .milliseconds(20)) }
    instruments.report()
    release.letGo()
    await pool.shutdown()
    instruments.report()
    instruments.report()

    let dimensions = [("pool", "db"), ("host", "a")]
    func values(_ label: String, _ quantile: String? = nil) throws -> [Double] {
      try backend.expectGauge(
        "uvloop_pool_\(label)", dimensions + (quantile.map { [("quantile", $0)] } ?? [])
      ).values
    }
    #expect(try backend.expectCounter("uvloop_pool_calls", dimensions).values == [0, 2, 0])
    #expect(try values("queued") == [1, 0, 0])
    #expect(try values("running") == [1, 0, 0])
    #expect(try values("threads").first == 1)
    let runs = try values("run_seconds", "1")
    #expect(runs[0] == 0 && runs[1] >= 0.02 && runs[2] == 0)
    #expect(try values("wait_seconds", "1")[1] > 0)
    instruments.destroy()
  }

  @Test func `a lane and an actor's thread have theirs, with their names`() async throws {
    let backend = TestMetrics()
    let (lane, thread) = (try OffloadLane(name: "disk", limit: 1), try OffloadThread(name: "clerk"))
    let clerk = Clerk(on: thread)
    let (ofLane, ofThread) = (
      OffloadInstruments(of: lane, factory: backend), OffloadInstruments(of: thread, factory: backend)
    )
    try await withLoop(.init(name: "any")) { loop in
      let release = Release()
      let call = Task { try await loop.offload(in: lane) { release.wait() } }
      await release.waitForTheCall()
      let held = Release()
      try clerk.post { _ in held.wait() }
      await held.waitForTheCall()
      try clerk.post { _ in }
      ofLane.report()
      ofThread.report()
      release.letGo()
      held.letGo()
      try await call.value
    }
    await thread.shutdown()
    ofThread.report()
    #expect(try backend.expectGauge("uvloop_lane_running", [("lane", "disk")]).values == [1])
    #expect(try backend.expectGauge("uvloop_lane_queued", [("lane", "disk")]).values == [0])
    #expect(try backend.expectGauge("uvloop_thread_running", [("thread", "clerk")]).values == [1, 0])
    #expect(try backend.expectGauge("uvloop_thread_queued", [("thread", "clerk")]).values == [1, 0])
    #expect(try backend.expectCounter("uvloop_thread_calls", [("thread", "clerk")]).values == [0, 2])
  }

  @Test func `they report at an interval of a loop, and once more at its end`() async throws {
    let backend = TestMetrics()
    let pool = try OffloadPool(name: "db", threads: 1)
    let instruments = OffloadInstruments(of: pool, factory: backend)
    try await withLoop(.init(name: "reporter")) { loop in
      let reports = try instruments.report(every: .milliseconds(1), on: loop)
      for _ in 0..<5 { try await pool.run {} }
      // A thread counts a call behind its caller.
      await pool.shutdown()
      await loop.shutdown()
      await reports.value
    }
    #expect(backend.counterTotal(label: "uvloop_pool_calls") == 5)
  }

  private actor Clerk: ThreadActor {
    nonisolated let thread: OffloadThread

    init(on thread: OffloadThread) { self.thread = thread }
  }
}
