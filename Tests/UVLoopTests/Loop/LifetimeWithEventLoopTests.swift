import Testing

@testable import UVLoop

/// `withEventLoop` makes its own loops, so these tests do too.
@Suite(.sideBySide) struct LifetimeWithEventLoopTests {
  private struct Broken: Error, Equatable { let number: Int }

  @Test func `G-07 when the body returns its result arrives and the loop has been shut down`() async throws {
    let loop = try await withEventLoop { loop in
      #expect(loop.state == .running)
      #expect(loop.isCurrent)
      return loop
    }
    #expect(loop.state == .stopped)
    await expectThreadGone(loop.thread)
  }

  @Test func `G-07 when the body throws its error arrives unchanged and the loop has been shut down`() async throws {
    let seen = Shared<EventLoop?>(nil)
    do {
      try await withEventLoop { loop in
        seen.value = loop
        throw Broken(number: 5)
      }
      Issue.record("no error")
    } catch {
      #expect(error as? Broken == Broken(number: 5))
    }
    #expect(seen.value?.state == .stopped)
  }

  @Test func `G-07 when the caller is cancelled the body sees it and the loop has been shut down`() async throws {
    let seen = Shared<EventLoop?>(nil)
    let sleeping = Event("the begin of the body")
    let task = Task {
      try await withEventLoop { loop in
        seen.value = loop
        sleeping.signal()
        try await loop.sleep(for: .seconds(3_600))
      }
    }
    try await sleeping.wait()
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(seen.value?.state == .stopped)
  }

  @Test func `G-07 in a cancelled task the body still runs, and its loop is shut down`() async throws {
    let (loop, wasCancelled) = try await Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await withEventLoop { loop in (loop, Task.isCancelled) }
    }.value
    #expect(wasCancelled)
    #expect(loop.state == .stopped)
  }

  @Test func `G-07 tasks that the body left behind are cancelled and awaited`() async throws {
    let ended = Counter()
    try await withEventLoop { loop in
      for _ in 0..<3 {
        loop.task { loop in
          try? await loop.sleep(for: .seconds(3_600))
          ended.add()
        }
      }
    }
    #expect(ended.value == 3)
  }

  @Test func `G-07 a body that shut its loop down itself is no error`() async throws {
    let state = try await withEventLoop { loop in
      await loop.shutdown()
      return loop.state
    }
    #expect(state == .stopped)
  }

  @Test func `G-07 shutdownWithin bounds the end`() async throws {
    let begun = Event("the begin of the task")
    let go = Event("the task may end")
    let seen = Shared<ThreadIdentity?>(nil)
    let start = MonotonicClock.now()
    let task = try await withEventLoop(shutdownWithin: .milliseconds(50)) { loop in
      seen.value = loop.thread
      let task = loop.task { _ in
        begun.signal()
        try await go.wait()
      }
      try await begun.wait()
      return task
    }
    #expect(Duration.nanoseconds(MonotonicClock.now() - start) >= .milliseconds(50))
    #expect(!go.hasHappened)
    go.signal()
    try await task.value
    await expectThreadGone(try #require(seen.value))
  }
}
