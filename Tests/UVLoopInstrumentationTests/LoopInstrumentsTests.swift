import CoreMetrics
import MetricsTestKit
import Testing
import UVLoop
import UVLoopInstrumentation

/// Each test has a backend of its own.
@Suite(.timeLimit(.minutes(2))) struct LoopInstrumentsTests {
  private static let counters = [
    "iterations", "jobs", "posts", "wakes", "spins", "timers_fired", "callbacks", "bytes_read", "bytes_written",
    "connections_accepted", "accept_back_offs",
  ]

  @Test func `the first report counts since the loop was made, and a later one since the report before`() async throws {
    let backend = TestMetrics()
    try await withLoop(.init(name: "counted")) { loop in
      let instruments = LoopInstruments(of: loop, factory: backend)
      let posts = try backend.expectCounter("uvloop_posts", [("loop", "counted")])
      #expect(posts.values == [])

      for _ in 1...3 { try loop.post {} }
      let first = Int64(loop.metrics.posts)
      instruments.report()
      instruments.report()
      #expect(posts.values == [first, 0])
      #expect(first >= 3)
      for _ in 1...5 { try loop.post {} }
      instruments.report()
      #expect(posts.values == [first, 0, 5])
    }
  }

  @Test func `what has been counted in the end is what the loop says`() async throws {
    let backend = TestMetrics()
    let metrics = try await withLoop(.init(name: "counted")) { loop in
      let instruments = LoopInstruments(of: loop, factory: backend)
      for _ in 1...3 {
        try await loop.run { loop in try await loop.sleep(for: .milliseconds(1)) }
        instruments.report()
      }
      await loop.shutdown()
      instruments.report()
      return loop.metrics
    }
    let values = [
      metrics.iterations, metrics.jobs, metrics.posts, metrics.wakes, metrics.spins, metrics.timersFired,
      metrics.callbacks, metrics.bytesRead, metrics.bytesWritten, metrics.connectionsAccepted, metrics.acceptBackOffs,
    ]
    #expect(Self.counters.map { backend.counterTotal(label: "uvloop_\($0)") } == values.map(Int64.init))
    #expect(metrics.timersFired == 3)
  }

  @Test func `the gauges say what waits and runs at the moment of the report`() async throws {
    let backend = TestMetrics()
    let release = Release()
    try await withLoop(.init(name: "busy")) { loop in
      let instruments = LoopInstruments(of: loop, dimensions: [("host", "a")], factory: backend)
      let dimensions = [("loop", "busy"), ("host", "a")]
      let call = Task { try await loop.offload(label: "held") { release.wait() } }
      await release.waitForTheCall()
      let blocked = Release()
      try loop.post { blocked.wait() }
      await blocked.waitForTheCall()
      for _ in 1...4 { try loop.post {} }
      instruments.report()
      blocked.letGo()
      release.letGo()
      try await call.value
      await loop.shutdown()
      instruments.report()
      #expect(try backend.expectGauge("uvloop_offloads_running", dimensions).values == [1, 0])
      #expect(try backend.expectGauge("uvloop_offloads_queued", dimensions).values == [0, 0])
      #expect(try backend.expectGauge("uvloop_queued", dimensions).values.first ?? 0 >= 4)
      #expect(try backend.expectGauge("uvloop_queued", dimensions).lastValue == 0)
    }
  }

  @Test func `a loop that measures has a utilisation, and percentiles of what came since the report before`()
    async throws
  {
    let backend = TestMetrics()
    try await withLoop(.init(name: "measured", metrics: true)) { loop in
      let instruments = LoopInstruments(of: loop, factory: backend)
      try await loop.run { loop in
        try await loop.sleep(for: .milliseconds(1))
        spin(for: .milliseconds(60))
        try await loop.sleep(for: .milliseconds(1))
      }
      try await loop.offload { spin(for: .milliseconds(20)) }
      // The worker counts the call when it has delivered the result.
      while loop.metrics.offloadRun.count == 0 { try await loop.sleep(for: .milliseconds(1)) }
      instruments.report()
      let elapsed = loop.metrics.elapsed
      try await loop.run { loop in for _ in 1...30 { try await loop.sleep(for: .milliseconds(1)) } }
      instruments.report()

      func values(_ label: String, _ quantile: String? = nil) throws -> [Double] {
        let dimensions = [("loop", "measured")] + (quantile.map { [("quantile", $0)] } ?? [])
        return try backend.expectGauge("uvloop_\(label)", dimensions).values
      }
      let shares = try values("utilisation")
      #expect(shares.count == 2)
      #expect(shares[0] >= .milliseconds(60) / elapsed && shares[0] <= 1)
      // It has slept meanwhile.
      #expect(shares[1] > 0 && shares[1] < 1)
      let lags = try values("lag_seconds", "1")
      #expect(lags.count == 2)
      #expect(lags[0] >= 0.06)
      #expect(try values("lag_seconds", "0.5")[1] < 0.06)
      #expect(try values("lag_seconds", "0.99").count == 2)
      #expect(try values("offload_run_seconds", "1")[0] >= 0.02)
      // Nothing was offloaded between the two.
      #expect(try values("offload_run_seconds", "1")[1] == 0)
      #expect(try values("offload_wait_seconds", "1")[0] > 0)
    }
  }

  @Test func `a loop that does not measure has only counts and levels`() async throws {
    let backend = TestMetrics()
    try await withLoop(.init(name: "plain")) { loop in
      LoopInstruments(of: loop, factory: backend).report()
      #expect(Set(backend.counters.map(\.label)) == Set(Self.counters.map { "uvloop_\($0)" }))
      #expect(
        Set(backend.recorders.map(\.label)) == ["uvloop_queued", "uvloop_offloads_queued", "uvloop_offloads_running"])
      #expect(backend.recorders.allSatisfy { !$0.aggregate })
    }
  }

  @Test func `it reports at each interval of the loop's time, and once more at the end of the loop`() async throws {
    let backend = TestMetrics()
    let loop = try EventLoop(.init(name: "timed", time: .manual))
    let task = try LoopInstruments(of: loop, factory: backend).report(every: .seconds(10))
    let iterations = try backend.expectCounter("uvloop_iterations", [("loop", "timed")])
    try await loop.run { loop in
      try await loop.runUntilIdle()
      #expect(iterations.values.count == 0)
      try await loop.advance(by: .milliseconds(9_999))
      #expect(iterations.values.count == 0)
      try await loop.advance(by: .milliseconds(1))
      #expect(iterations.values.count == 1)
      try await loop.advance(by: .seconds(20))
      #expect(iterations.values.count == 3)
    }
    let report = await loop.shutdown(within: .seconds(20))
    #expect(report.unfinished.isEmpty, "\(report)")
    await task.value
    #expect(iterations.values.count == 4)
  }

  @Test func `a cancelled task of reports ends with a last one, and the loop goes on`() async throws {
    let backend = TestMetrics()
    try await withLoop(.init(name: "cancelled", time: .manual)) { loop in
      let task = try LoopInstruments(of: loop, factory: backend).report(every: .seconds(10))
      task.cancel()
      await task.value
      #expect(try backend.expectCounter("uvloop_iterations", [("loop", "cancelled")]).values.count == 1)
      #expect(loop.state == .running)
    }
  }

  @Test func `an interval of zero is refused, and a loop that has ended has one last report`() async throws {
    let backend = TestMetrics()
    let loop = try EventLoop(.init(name: "over"))
    let instruments = LoopInstruments(of: loop, factory: backend)
    let error = #expect(throws: UVError.self) { try instruments.report(every: .zero) }
    #expect(error?.code == .invalidArgument)
    await loop.shutdown()
    try await instruments.report(every: .seconds(1)).value
    #expect(
      try backend.expectCounter("uvloop_iterations", [("loop", "over")]).values == [Int64(loop.metrics.iterations)])
  }

  @Test func `destroyed instruments are forgotten by the backend`() async throws {
    let backend = TestMetrics()
    try await withLoop(.init(name: "destroyed", metrics: true)) { loop in
      let instruments = LoopInstruments(of: loop, factory: backend)
      instruments.report()
      #expect(backend.counters.count == Self.counters.count)
      #expect(backend.recorders.count == 13)
      instruments.destroy()
      #expect(backend.counters.isEmpty && backend.recorders.isEmpty)
    }
  }
}
