import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a watchdog begins and ends, and which signal it uses.
@Suite(.alone) struct WatchdogLifeTests {
  typealias Log = WatchdogTests.Log

  /// The threads of all watchdogs of the process.
  static var watchdogs: Int {
    Process.threads.count { Process.contents(of: "/proc/self/task/\($0)/comm").hasPrefix("uv-watchdog") }
  }

  @Test func `a second watchdog replaces the first, and sees where the thread stands`() async throws {
    let (first, second, functions) = (Log(), Log(), BlockingFunctions())
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.startWatchdog(over: .seconds(3_600)) { first.add($0) }
      await loop.run { _ in }
      try loop.startWatchdog(over: .milliseconds(100)) { second.add($0) }
      await loop.run { _ in }
      try loop.post { functions.sleepsInUsleep() }
      let stall = try await WatchdogTests.stackedReport(second)
      #expect(stall.stack.description.contains("sleepsInUsleep"), "\(stall)")
      #expect(first.all.isEmpty)
    }
  }

  @Test func `a watchdog that is stopped and started again from the loop works`() async throws {
    let (first, second, functions) = (Log(), Log(), BlockingFunctions())
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try await loop.run { loop in
        try loop.startWatchdog(over: .seconds(3_600)) { first.add($0) }
        loop.stopWatchdog()
        loop.stopWatchdog()
        try loop.startWatchdog(over: .seconds(3_600)) { first.add($0) }
        try loop.startWatchdog(over: .milliseconds(100)) { second.add($0) }
      }
      try loop.post { functions.sleepsInUsleep() }
      let stall = try await WatchdogTests.stackedReport(second)
      #expect(stall.stack.description.contains("sleepsInUsleep"), "\(stall)")
      #expect(first.all.isEmpty)
    }
  }

  @Test func `after stop nothing more is reported, though the loop is blocked`() async throws {
    let (log, next, functions) = (Log(), Log(), BlockingFunctions())
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.post { functions.waitsForACondition() }
      try loop.startWatchdog(over: .milliseconds(50)) { log.add($0) }
      try await log.wait()
      loop.stopWatchdog()
      let count = log.all.count
      // Another one tells that time has passed.
      try loop.startWatchdog(over: .milliseconds(50)) { next.add($0) }
      try await next.wait(times: 4)
      // One may have been under way.
      #expect(log.all.count <= count + 1)
    }
  }

  @Test func `a report may stop its watchdog and start another one`() async throws {
    let (first, second, functions) = (Log(), Log(), BlockingFunctions())
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.startWatchdog(over: .milliseconds(50)) { stall in
        first.add(stall)
        loop.stopWatchdog()
        try? loop.startWatchdog(over: .milliseconds(50)) { second.add($0) }
      }
      try loop.post { functions.waitsForACondition() }
      try await second.wait(times: 2)
      #expect(first.all.count == 1)
    }
  }

  @Test func `shutdown ends a watchdog that is reporting`() async throws {
    let (functions, reports, isOver) = (BlockingFunctions(), Event("a report"), Event("the end of the report"))
    let gone = Counter()
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      let witness = Witness(gone)
      try loop.startWatchdog(over: .milliseconds(50)) { _ in
        witness.hold()
        reports.signal()
        isOver.waitBlocking()
      }
      try loop.post { functions.waitsForACondition() }
      try await reports.wait()
      let shutdown = Task { await loop.shutdown() }
      await expectEventually { loop.state != .running }
      functions.release()
      // Not even a report that does not end keeps the loop.
      let report = await shutdown.value
      #expect(report.unfinished.isEmpty)
      isOver.signal()
    }
    await expectEventually { gone.value == 1 }
  }

  @Test func `a report may shut the loop down and wait for it`() async throws {
    let (functions, isDown) = (BlockingFunctions(), Event("a shutdown"))
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.startWatchdog(over: .milliseconds(50)) { _ in
        functions.release()
        _ = try? loop.shutdownBlocking()
        isDown.signal()
      }
      try loop.post { functions.waitsForACondition() }
      try await isDown.wait()
      #expect(loop.state == .stopped)
    }
  }

  @Test func `a loop that is dropped with a watchdog on ends, and so does the watchdog`() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let gone = Counter()
      func drop() async throws -> (WeakCore, ThreadIdentity) {
        let loop = try EventLoop(.init(name: "dropped"))
        let witness = Witness(gone)
        try loop.startWatchdog(over: .seconds(3_600)) { _ in witness.hold() }
        try loop.reportSlowCalls(over: .seconds(3_600)) { _ in witness.hold() }
        await loop.run { _ in }
        return (WeakCore(of: loop), loop.thread)
      }
      let (core, thread) = try await drop()
      await expectThreadGone(thread)
      await expectEventually { core.isFreed && gone.value == 1 && WatchdogLifeTests.watchdogs == 0 }
      #expect(SignalClaimTests.disposition(.urgentData) == 0)
    }
    #expect(result?.standardErrorText.split(separator: "\n").count == 1)
  }

  @Test func `a hundred loops with watchdogs leave no thread, no handler and no memory behind`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      var cores: [WeakCore] = []
      for round in 0..<100 {
        let loop = try EventLoop(.init(name: "round \(round)", metrics: true))
        try loop.startWatchdog(over: .milliseconds(round % 2 == 0 ? 1 : 10_000)) { _ in }
        try loop.startWatchdog(over: .seconds(1)) { _ in _ = loop }
        try loop.reportSlowCalls(over: .seconds(1)) { _ in _ = loop }
        if round % 3 == 0 { loop.stopWatchdog() }
        cores.append(WeakCore(of: loop))
        await loop.shutdown()
        await expectThreadGone(loop.thread)
      }
      await expectEventually { cores.allSatisfy(\.isFreed) }
      await expectEventually { WatchdogLifeTests.watchdogs == 0 }
      #expect(SignalClaimTests.disposition(.urgentData) == 0)
    }
  }

  @Test func `a watchdog that is started while the loop is shut down is refused or ends, and is not kept`() async {
    await #expect(processExitsWith: .success) {
      var cores: [WeakCore] = []
      for _ in 0..<100 {
        let loop = try EventLoop(.init(name: "race"))
        cores.append(WeakCore(of: loop))
        let begin = Event("the race")
        let starter = PlainThread {
          begin.signal()
          while true {
            do throws(UVError) {
              try loop.startWatchdog(over: .seconds(1)) { _ in _ = loop }
              try loop.reportSlowCalls(over: .seconds(1)) { _ in _ = loop }
            } catch {
              if error.code != .loopClosed { Issue.record("\(error)") }
              return
            }
          }
        }
        try await begin.wait()
        await loop.shutdown()
        try await starter.join()
      }
      await expectEventually { cores.allSatisfy(\.isFreed) }
      await expectEventually { WatchdogLifeTests.watchdogs == 0 }
      #expect(SignalClaimTests.disposition(.urgentData) == 0)
    }
  }

  // MARK: What is refused

  @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(-5)])
  func `a threshold of zero or less is refused, and the watchdog that was on goes on`(_ threshold: Duration)
    async throws
  {
    try await expectRefused(.invalidArgument, "startWatchdog") { loop throws(UVError) in
      try loop.startWatchdog(over: threshold) { _ in }
    }
  }

  @Test(arguments: [SIGKILL, SIGSTOP, SIGCHLD, SIGSEGV, SIGABRT, 0, -1, 65])
  func `a signal that cannot be used is refused, and the watchdog that was on goes on`(number: Int32) async throws {
    try await expectRefused(.invalidArgument, "startWatchdog") { loop throws(UVError) in
      try loop.startWatchdog(over: .seconds(1), signal: Signal(rawValue: number)) { _ in }
    }
  }

  private func expectRefused(
    _ code: UVError.Code, _ call: String, _ start: (EventLoop) throws(UVError) -> Void
  ) async throws {
    let (log, functions) = (Log(), BlockingFunctions())
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.startWatchdog(over: .milliseconds(50)) { log.add($0) }
      do throws(UVError) {
        try start(loop)
        Issue.record("it was not refused")
      } catch {
        #expect(error.code == code && error.call == call, "\(error)")
      }
      try loop.post { functions.waitsForACondition() }
      try await log.wait()
    }
  }

  @Test func `a signal that the program uses is refused, and stays its own`() async {
    await #expect(processExitsWith: .success) {
      SignalHandleTests.OldHandler.install(for: .user1)
      let before = SignalClaimTests.disposition(.user1)
      try await withTestLoop { loop, _ in
        try expectCode(.busy) { try loop.startWatchdog(over: .seconds(1), signal: .user1) { _ in } }
        #expect(SignalClaimTests.disposition(.user1) == before)
        #expect(SignalClaimTests.disposition(.urgentData) == 0)
        try loop.startWatchdog(over: .seconds(1)) { _ in }
        #expect(SignalClaimTests.disposition(.urgentData) > 1)
      }
      await expectEventually { SignalClaimTests.disposition(.urgentData) == 0 }
    }
  }

  @Test func `another signal than the default can be used, and is given back`() async {
    await #expect(processExitsWith: .success) {
      let (log, functions) = (Log(), BlockingFunctions())
      try await withTestLoop { loop, _ in
        defer { functions.release() }
        try loop.startWatchdog(over: .milliseconds(100), signal: .user2) { log.add($0) }
        await loop.run { _ in }
        try loop.post { functions.sleepsInUsleep() }
        let stall = try await WatchdogTests.stackedReport(log)
        #expect(stall.stack.description.contains("sleepsInUsleep"), "\(stall)")
      }
      await expectEventually { SignalClaimTests.disposition(.user2) == 0 }
    }
  }

  @Test func `after shutdown a watchdog is refused with loopClosed, and may be stopped`() async throws {
    let loop = try await withTestLoop { loop, _ in loop }
    try expectCode(.loopClosed) { try loop.startWatchdog(over: .seconds(1)) { _ in } }
    loop.stopWatchdog()
  }
}
