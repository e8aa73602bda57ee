import CLibUV
import Testing

@testable import UVLoop

/// What `within:` does. Loops that end with something unfinished cannot come from the harness.
@Suite(.alone) struct ShutdownWithinTests {
  @Test func `G-09 a call that does not end is named with label and age, and the shutdown returns without it`()
    async throws
  {
    let loop = try EventLoop()
    let begun = Event("the begin of the call")
    let go = Event("the call may end")
    let call = Task {
      try await loop.offload(label: "endless") {
        begun.signal()
        go.waitBlocking(within: .seconds(60))
        return 7
      }
    }
    try await begun.wait()
    let start = MonotonicClock.now()
    let report = await loop.shutdown(within: .milliseconds(100))
    let took = Duration.nanoseconds(MonotonicClock.now() - start)
    #expect(took >= .milliseconds(100) && took < .seconds(10))
    #expect(report.unfinished.map(\.kind) == [.offload])
    #expect(report.unfinished.map(\.label) == ["endless"])
    #expect(report.unfinished.allSatisfy { $0.age >= .milliseconds(100) && $0.age < .seconds(60) })
    #expect(loop.state == .stopped)
    #expect(report.description.contains("unfinished offload \"endless\""))
    go.signal()
    #expect(try await call.value == 7)
    await expectThreadGone(loop.thread)
  }

  @Test func `G-09 while the call runs the thread stays, then the loop is closed and its memory freed`() async throws {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      let descriptors = Process.loopDescriptors
      let begun = Event("the begin of the call")
      let go = Event("the call may end")
      var loop: EventLoop? = try EventLoop()
      let core = try WeakCore(of: #require(loop))
      let thread = try #require(loop?.thread)
      let call = Task { [loop] in
        try await loop?.offload {
          begun.signal()
          go.waitBlocking(within: .seconds(60))
        }
      }
      try await begun.wait()
      await loop?.shutdown(within: .milliseconds(1))
      loop = nil
      #expect(Process.threads.contains(thread.kernelID))
      #expect(!core.isFreed)
      go.signal()
      try await call.value
      await expectThreadGone(thread)
      let isFreed = await eventually { core.isFreed }
      #expect(isFreed)
      let isClosed = await eventually { Process.loopDescriptors.isSubset(of: descriptors) }
      #expect(isClosed)
    }
  }

  @Test(arguments: [Duration.zero, .seconds(-1), .nanoseconds(1)])
  func `G-09 without any time shutdown still returns, and names what runs`(limit: Duration) async throws {
    let loop = try EventLoop()
    let begun = Event("the begin of the call")
    let go = Event("the call may end")
    let call = Task {
      try await loop.offload(label: "endless") {
        begun.signal()
        go.waitBlocking(within: .seconds(60))
      }
    }
    try await begun.wait()
    let report = await loop.shutdown(within: limit)
    #expect(report.unfinished.map(\.label) == ["endless"])
    go.signal()
    _ = try await call.value
    await expectThreadGone(loop.thread)
  }

  @Test func `G-09 the largest limit is none`() async throws {
    try await withTestLoop { loop, _ in
      let workers = try await HeldWorkers(1, on: loop)
      let end = Task { await loop.shutdown(within: .seconds(Int64.max)) }
      #expect(await eventually { loop.state == .stopping })
      try await workers.release()
      #expect(await end.value.unfinished.isEmpty)
    }
  }

  @Test func `G-09 accepted posts run however little time there is`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("post", 1_000)
      for _ in 0..<1_000 { try loop.post { calls.mark("post") } }
      await loop.shutdown(within: .zero)
      #expect(calls.count("post") == 1_000)
    }
  }

  @Test func `G-09 of several shutdowns the shortest limit counts, though it came last`() async throws {
    let loop = try EventLoop()
    let begun = Event("the begin of the call")
    let go = Event("the call may end")
    let call = Task {
      try await loop.offload(label: "endless") {
        begun.signal()
        go.waitBlocking(within: .seconds(60))
      }
    }
    try await begun.wait()
    let unlimited = Task { await loop.shutdown() }
    let long = Task { await loop.shutdown(within: .seconds(3_600)) }
    #expect(await eventually { loop.state == .stopping })
    let blocking = Task { try await onPlainThread { try loop.shutdownBlocking(within: .seconds(1_800)) } }
    let short = await loop.shutdown(within: .milliseconds(50))
    #expect(short.unfinished.map(\.label) == ["endless"])
    // All are told the same, and none waits longer.
    let texts = [await unlimited.value, await long.value, try await blocking.value].map(\.description)
    #expect(Set(texts) == [short.description])
    go.signal()
    _ = try await call.value
    await expectThreadGone(loop.thread)
  }

  @Test func `G-09 of several shutdowns the shortest limit counts, though a longer one came after it`() async throws {
    let loop = try EventLoop()
    let begun = Event("the begin of the call")
    let go = Event("the call may end")
    let call = Task {
      try await loop.offload(label: "endless") {
        begun.signal()
        go.waitBlocking(within: .seconds(60))
      }
    }
    try await begun.wait()
    let short = Task { await loop.shutdown(within: .milliseconds(300)) }
    #expect(await eventually { loop.state == .stopping })
    let long = await loop.shutdown(within: .seconds(3_600))
    #expect(long.unfinished.map(\.label) == ["endless"])
    #expect(await short.value.description == long.description)
    go.signal()
    _ = try await call.value
    await expectThreadGone(loop.thread)
  }

  @Test func `G-09 a later shutdown returns at once while a call still holds the thread`() async throws {
    let loop = try EventLoop()
    let begun = Event("the begin of the call")
    let go = Event("the call may end")
    let call = Task {
      try await loop.offload(label: "endless") {
        begun.signal()
        go.waitBlocking(within: .seconds(60))
      }
    }
    try await begun.wait()
    let first = await loop.shutdown(within: .zero)
    let second = await loop.shutdown()
    #expect(first.description == second.description)
    #expect(!go.hasHappened)
    go.signal()
    _ = try await call.value
    await expectThreadGone(loop.thread)
  }

  @Test func `G-09 a thread that stays behind is nobody's loop, and posts to it are refused`() async throws {
    let loop = try EventLoop()
    let begun = Event("the begin of the call")
    let go = Event("the call may end")
    let call = Task {
      try await loop.offload {
        begun.signal()
        go.waitBlocking(within: .seconds(60))
      }
    }
    try await begun.wait()
    await loop.shutdown(within: .zero)
    let (isCurrent, current) = await loop.run { loop in (loop.isCurrent, EventLoop.current == nil) }
    #expect(!isCurrent)
    #expect(current)
    #expect(await codeOfError { try loop.post {} } == .loopClosed)
    go.signal()
    _ = try await call.value
    await expectThreadGone(loop.thread)
  }
}
