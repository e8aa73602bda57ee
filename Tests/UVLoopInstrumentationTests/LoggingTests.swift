import Logging
import Testing
import UVLoop
import UVLoopInstrumentation

/// Each test has a loop, a logger and a log of its own.
@Suite(.timeLimit(.minutes(2))) struct LoggingTests {
  @Test func `a slow call is one line with its kind, its name and its times`() async throws {
    let log = Log()
    try await withLoop(.init(name: "slow")) { loop in
      try loop.logSlowCalls(over: .milliseconds(20), to: log.logger("calls"))
      await loop.task(name: "indexer") { _ in spin(for: .milliseconds(30)) }.value
    }
    let lines = log.lines.filter { $0.text("label") == "indexer" }
    #expect(lines.count == 1)
    let line = try #require(lines.first)
    #expect(line.logger == "calls")
    #expect(line.level == .warning)
    #expect(line.message == "a call kept the loop busy")
    #expect(line.text("loop") == "slow")
    #expect(line.text("kind") == "task")
    #expect(try #require(line.duration("ran")) >= .milliseconds(30))
    #expect(try #require(line.duration("waited")) >= .zero)
    #expect(line.metadata["site"] == nil)
  }

  @Test func `a call of another kind has no label, and one that is fast no line`() async throws {
    let log = Log()
    try await withLoop(.init(name: "slow")) { loop in
      try loop.logSlowCalls(over: .seconds(10), to: log.logger("never"))
      await loop.task(name: "fast") { _ in }.value
      try loop.logSlowCalls(over: .milliseconds(20), to: log.logger("calls"), level: .notice)
      try loop.post { spin(for: .milliseconds(30)) }
    }
    let lines = log.lines.filter { $0.text("kind") == "post" }
    #expect(lines.map(\.logger) == ["calls"])
    #expect(lines.first?.level == .notice)
    #expect(lines.first?.metadata["label"] == nil)
    #expect(!log.lines.contains { $0.logger == "never" || $0.text("label") == "fast" })
  }

  @Test func `a logger of a higher level gets no line`() async throws {
    let log = Log()
    try await withLoop(.init(name: "quiet")) { loop in
      try loop.logSlowCalls(over: .nanoseconds(1), to: log.logger("calls", level: .error))
      await loop.task(name: "slow") { _ in spin(for: .milliseconds(2)) }.value
      #expect(log.lines.isEmpty)
      try loop.logSlowCalls(over: .nanoseconds(1), to: log.logger("calls", level: .error), level: .error)
      await loop.task(name: "slow") { _ in spin(for: .milliseconds(2)) }.value
    }
    #expect(log.lines.contains { $0.text("label") == "slow" && $0.level == .error })
  }

  @Test func `a stall is logged while it lasts, with the function that blocks`() async throws {
    let log = Log()
    let wasLogged = try await withLoop(.init(name: "stuck")) { loop in
      try loop.logStalls(over: .milliseconds(50), to: log.logger("stalls"))
      return await loop.task(name: "importer") { _ in
        blocksUntil { log.lines.contains { $0.text("label") == "importer" } }
      }.value
    }
    #expect(wasLogged)
    let line = try #require(log.lines.first { $0.text("label") == "importer" })
    #expect(line.logger == "stalls")
    #expect(line.level == .error)
    #expect(line.message == "the loop is blocked")
    #expect(line.text("loop") == "stuck")
    #expect(UInt64(line.text("thread") ?? "") != nil)
    #expect(line.text("kind") == "task")
    #expect(line.text("label") == "importer")
    #expect(try #require(line.duration("lasted")) >= .milliseconds(50))
    #expect(try #require(line.duration("ran")) > .zero)
    #if os(Linux)
      #expect(line.list("stack").contains { $0.contains("blocksUntil") }, "\(line.list("stack"))")
    #endif
  }

  @Test func `a stall that goes on is logged again at twice the threshold, at the level that was asked for`()
    async throws
  {
    let log = Log()
    let wasLogged = try await withLoop(.init(name: "stuck")) { loop in
      try loop.logStalls(over: .milliseconds(30), to: log.logger("stalls"), level: .critical)
      return await loop.task(name: "importer") { _ in
        blocksUntil { log.lines.count { $0.text("label") == "importer" } >= 2 }
      }.value
    }
    #expect(wasLogged)
    let lines = log.lines.filter { $0.text("label") == "importer" }
    #expect(lines.allSatisfy { $0.level == .critical })
    #expect(try #require(lines.dropFirst().first?.duration("lasted")) >= .milliseconds(60))
  }

  @Test func `a threshold of zero, a signal that cannot be used and a loop that has ended are refused`() async throws {
    let log = Log()
    let loop = try EventLoop(.init(name: "refuses"))
    func code(_ call: () throws(UVError) -> Void) -> UVError.Code? {
      do throws(UVError) { try call() } catch { return error.code }
      return nil
    }
    #expect(code { () throws(UVError) in try loop.logSlowCalls(over: .zero, to: log.logger("a")) } == .invalidArgument)
    #expect(code { () throws(UVError) in try loop.logStalls(over: .zero, to: log.logger("a")) } == .invalidArgument)
    #if os(Linux)
      #expect(
        code { () throws(UVError) in try loop.logStalls(over: .seconds(1), signal: .kill, to: log.logger("a")) }
          == .invalidArgument)
    #endif
    await loop.shutdown()
    #expect(code { () throws(UVError) in try loop.logSlowCalls(over: .seconds(1), to: log.logger("a")) } == .loopClosed)
    #expect(code { () throws(UVError) in try loop.logStalls(over: .seconds(1), to: log.logger("a")) } == .loopClosed)
  }

  @Test func `calls that wait for a pool are logged while they do, with what holds its threads`() async throws {
    let log = Log()
    let pool = try OffloadPool(name: "db", threads: 1)
    try pool.logStalls(over: .milliseconds(50), to: log.logger("pools"))
    try pool.submit(label: "slow") { _ = blocksUntil { log.lines.contains { $0.list("running").count == 1 } } }
    try await pool.run(label: "late") {}
    await pool.shutdown()
    let line = try #require(log.lines.first { $0.list("running").count == 1 })
    #expect(line.logger == "pools" && line.level == .error && line.message == "calls wait for a thread")
    #expect(line.text("work") == "pool \"db\"" && line.text("queued") == "1")
    #expect(try #require(line.duration("waited")) >= .milliseconds(50))
    #expect(line.list("running")[0].hasPrefix("\"slow\", for "))
  }
}
