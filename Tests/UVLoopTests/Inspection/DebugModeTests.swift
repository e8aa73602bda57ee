import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a loop that helps to find faults tells, and where it says that things come from.
@Suite(.alone) struct DebugModeTests {
  @inline(never)
  static func makesALoop(debug: Bool = true) throws -> EventLoop { try EventLoop(.init(name: "open", debug: debug)) }

  @inline(never)
  static func makesATimer(on loop: isolated EventLoop) throws -> TimerHandle { try TimerHandle() }

  @inline(never)
  static func schedulesACall(
    on loop: isolated EventLoop, after delay: Duration = .zero, _ body: @escaping () -> Void = {}
  ) throws -> ScheduledCall {
    try loop.schedule(after: delay, body)
  }

  @inline(never)
  static func postsAClosure(to loop: EventLoop, _ body: @Sendable @escaping () -> Void) throws {
    try loop.post { body() }
  }

  private static func block() { spin(for: .milliseconds(150)) }

  /// What is written when the process exits comes too late: Swift Testing shows what came before the end of the body.
  private static func writeAll() { DebugLog.process.flush() }

  @Test func `a loop that is dropped open is told with the function that made it`() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      func drop() throws -> ThreadIdentity { try DebugModeTests.makesALoop().thread }
      await expectThreadGone(try drop())
      DebugModeTests.writeAll()
    }
    let text = result?.standardErrorText ?? ""
    #expect(text.contains("UVLoop: event loop \"open\" was dropped without shutdown"), "\(text)")
    #expect(text.contains("UVLoop: it was made at\n  0  ") && text.contains("makesALoop"), "\(text)")
  }

  @Test func `a handle that is dropped open is told with the function that made it`() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let loop = try DebugModeTests.makesALoop()
      try await loop.run { loop in
        _ = try DebugModeTests.makesATimer(on: loop)
        let closed = try DebugModeTests.makesATimer(on: loop)
        closed.close()
        try await iterate(loop)
        #expect(loop.snapshot().handles.isEmpty)
      }
      await loop.shutdown()
    }
    let text = result?.standardErrorText ?? ""
    #expect(text.hasPrefix("UVLoop: a TimerHandle of loop \"open\" was dropped open, and has been closed."), "\(text)")
    #expect(text.contains("It was made at\n  0  ") && text.contains("makesATimer"), "\(text)")
    #expect(text.split(separator: "dropped open").count == 2, "\(text)")
  }

  @Test func `a dropped AsyncHandle has its article`() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let loop = try DebugModeTests.makesALoop()
      try await loop.run { loop in
        _ = try AsyncHandle { _ = loop }
        try await iterate(loop)
      }
      await loop.shutdown()
    }
    let text = result?.standardErrorText ?? ""
    #expect(text.contains("UVLoop: an AsyncHandle of loop \"open\" was dropped open"), "\(text)")
  }

  @Test func `without debug mode neither is more than a line`() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      func drop() async throws -> ThreadIdentity {
        let loop = try DebugModeTests.makesALoop(debug: false)
        try await loop.run { loop in
          _ = try DebugModeTests.makesATimer(on: loop)
          DebugModeTests.block()
        }
        return loop.thread
      }
      await expectThreadGone(try await drop())
    }
    #expect(result?.standardErrorText.split(separator: "\n").count == 1)
  }

  @Test func `a slow closure is told with the function that posted it`() async {
    let text = await slowCall { loop in try DebugModeTests.postsAClosure(to: loop) { DebugModeTests.block() } }
    #expect(text.contains("UVLoop: post ran for ") && text.contains("it came from\n  0  "), "\(text)")
    #expect(text.contains("postsAClosure"), "\(text)")
  }

  @Test func `a slow call is told with the function that scheduled it`() async {
    let text = await slowCall { loop in
      _ = try DebugModeTests.schedulesACall(on: loop) { DebugModeTests.block() }
    }
    #expect(text.contains("UVLoop: ScheduledCall ran for ") && text.contains("schedulesACall"), "\(text)")
  }

  @Test func `a slow callback is told with the function that made its handle`() async {
    let text = await slowCall { loop in
      try DebugModeTests.makesATimer(on: loop).start(after: .zero) { DebugModeTests.block() }
    }
    #expect(text.contains("UVLoop: TimerHandle ran for ") && text.contains("makesATimer"), "\(text)")
  }

  /// What is printed on a loop in debug mode on which one thing takes 150 ms.
  private func slowCall(_ begin: @Sendable @escaping (isolated EventLoop) throws -> Void) async -> String {
    let printed = Shared("")
    do {
      try await withTestLoop("slow", debug: true) { loop, _ in
        let reported = Event("a report")
        // In place of standard error, which other tests share.
        loop.monitor.reportSlowCalls(over: .milliseconds(100)) { call in
          if call.ran < .milliseconds(150) { return }
          printed.update { $0 += "UVLoop: \(call)\n" }
          reported.signal()
        }
        try await loop.run { loop in try begin(loop) }
        try await reported.wait()
      }
    } catch {
      Issue.record(error)
    }
    return printed.value
  }

  @Test func `what takes 100 ms is told on standard error, while it lasts and afterwards`() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let loop = try DebugModeTests.makesALoop()
      await loop.run { _ in }
      let isOver = Event("over")
      try DebugModeTests.postsAClosure(to: loop) {
        spin(for: .seconds(1))
        isOver.signal()
      }
      try await isOver.wait()
      await loop.shutdown()
      // A report that is under way is written to its end: to look names up may take longer than the block.
      await expectEventually { WatchdogLifeTests.watchdogs == 0 }
      DebugModeTests.writeAll()
    }
    let text = result?.standardErrorText ?? ""
    #expect(text.contains("UVLoop: loop \"open\" has been blocked for "), "\(text)")
    #expect(text.contains("It runs a post."), "\(text)")
    #expect(text.contains("UVLoop: post ran for ") && text.contains("postsAClosure"), "\(text)")
  }

  @Test(arguments: ["1", "0", "", "yes"])
  func `UVLOOP_DEBUG=1 in the environment does it for all loops, and nothing else does`(value: String) async {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardErrorContent]
    ) { [value] in
      unsafe setenv("UVLOOP_DEBUG", value, 1)
      for _ in 0..<2 {
        func drop() throws -> ThreadIdentity { try DebugModeTests.makesALoop(debug: false).thread }
        await expectThreadGone(try drop())
      }
      DebugModeTests.writeAll()
    }
    let text = result?.standardErrorText ?? ""
    #expect(text.split(separator: "it was made at").count == (value == "1" ? 3 : 1), "\(text)")
  }

  @Test func `without the signal there is no watchdog, which is told, and the loop works`() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      SignalHandleTests.OldHandler.install(for: .urgentData)
      let loop = try DebugModeTests.makesALoop()
      await loop.run { _ in }
      await loop.shutdown()
    }
    let text = result?.standardErrorText ?? ""
    #expect(text.hasPrefix("UVLoop: loop \"open\" has no watchdog: "), "\(text)")
  }

  @Test func `a snapshot tells where handles and calls come from`() async throws {
    try await onTestLoop(debug: true) { loop, _ in
      let timer = try DebugModeTests.makesATimer(on: loop)
      let call = try DebugModeTests.schedulesACall(on: loop, after: .seconds(60))
      for snapshot in [loop.snapshot(), try loop.snapshotFromOutside()] {
        let (handle, wait) = (
          try #require(snapshot.handles.first?.site), try #require(snapshot.scheduledCalls.first?.site)
        )
        #expect(handle.description.contains("makesATimer"), "\(handle)")
        #expect(wait.description.contains("schedulesACall"), "\(wait)")
      }
      timer.close()
      call.cancel()
    }
  }

  @Test func `a call on a loop in debug mode fires, moves and is cancelled as any other`() async throws {
    try await onTestLoop(debug: true) { loop, calls in
      calls.expect("fired", 2)
      let (fired, gone) = (Event("fired"), Counter())
      _ = try DebugModeTests.schedulesACall(on: loop) {
        fired.signal(); calls.mark("fired")
      }
      let moved = try DebugModeTests.schedulesACall(on: loop, after: .seconds(60)) {
        fired.signal(); calls.mark("fired")
      }
      #expect(moved.reschedule(after: .zero))
      func holder(_ gone: Counter) -> () -> Void {
        let witness = Witness(gone)
        return { witness.hold() }
      }
      try DebugModeTests.schedulesACall(on: loop, after: .seconds(60), holder(gone)).cancel()
      #expect(gone.value == 1)
      try await fired.wait(times: 2)
      let late = try DebugModeTests.schedulesACall(on: loop, after: .seconds(60))
      #expect(late.isPending)
    }
  }
}
