import Testing

@testable import UVLoop

@Suite(.alone) struct RunBlockingTests {
  @Test func `B-13 runBlocking on a plain thread returns the value of its body, made on the loop`() async throws {
    try await withTestLoop { loop, _ in
      let seen = try await onPlainThread {
        try loop.runBlocking { loop in
          try await loop.sleep(for: .milliseconds(1))
          return (loop.isCurrent, ThreadIdentity.current)
        }
      }
      #expect(seen == (true, loop.thread))
    }
  }

  @Test func `B-13 runBlocking hands out a result that is not Sendable`() async throws {
    try await withTestLoop { loop, _ in
      let number = try await onPlainThread {
        let box = try loop.runBlocking { _ in Box(1) }
        box.number += 1
        return box.number
      }
      #expect(number == 2)
    }
  }

  @Test func `B-13 runBlocking rethrows the error of its body unchanged`() async throws {
    try await withTestLoop { loop, _ in
      let error = await #expect(throws: Full.self) {
        try await onPlainThread {
          try loop.runBlocking { loop in
            try await loop.sleep(for: .zero)
            throw Full(level: 7)
          }
        }
      }
      #expect(error?.level == 7)
    }
  }

  @Test func `B-13 a CancellationError of the body's own arrives as it is`() async throws {
    try await withTestLoop { loop, _ in
      _ = await #expect(throws: CancellationError.self) {
        try await onPlainThread { try loop.runBlocking { _ in throw CancellationError() } }
      }
    }
  }

  @Test(arguments: [Duration.zero, .seconds(-1)])
  func `B-14 with a timeout of zero or less it throws timedOut and leaves no task behind`(
    _ limit: Duration
  ) async throws {
    let calls = Calls()
    weak var left: Counter?
    try await withTestLoop { loop, _ in
      let posts = loop.probe.posts
      let error = await #expect(throws: UVError.self) {
        let captured = Counter()
        left = captured
        try await onPlainThread {
          try loop.runBlocking(timeout: limit) { _ in
            calls.mark("body")
            captured.add()
          }
        }
      }
      #expect(error?.code == .timedOut)
      #expect(loop.probe.posts == posts)
      #expect(await eventually { left == nil })
    }
    #expect(calls.count("body") == 0)
  }

  @Test func `B-15 the body is cancelled when the time is over`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("cancelled")
      let error = await #expect(throws: UVError.self) {
        try await onPlainThread {
          try loop.runBlocking(timeout: .milliseconds(20)) { loop in
            do { try await loop.sleep(for: .seconds(1_000)) } catch is CancellationError { calls.mark("cancelled") }
          }
        }
      }
      #expect(error?.code == .timedOut)
      #expect(await eventually { calls.count("cancelled") == 1 })
    }
  }

  @Test func `B-15 a body that ignores its cancellation does not delay timedOut, and its late result is dropped`()
    async throws
  {
    try await withTestLoop { loop, calls in
      calls.expect("late end")
      let release = Event("the end of the body")
      let dropped = Event("the release of the late result")
      let took = try await onPlainThread {
        let start = MonotonicClock.now()
        do {
          _ = try loop.runBlocking(timeout: .milliseconds(50)) { _ in
            try? await release.wait()
            calls.mark("late end")
            return LateResult(dropped)
          }
          return Int64.max
        } catch let error as UVError where error.code == .timedOut {
          return MonotonicClock.now() - start
        }
      }
      #expect(took >= 50_000_000, "\(took) ns")
      #expect(took < 2_000_000_000, "\(took) ns")
      #expect(calls.count("late end") == 0)
      release.signal()
      try await dropped.wait()
      #expect(await loop.run { $0.isCurrent })
    }
  }

  @Test func `B-16 on the loop's own thread it throws wouldDeadlock at once, queues nothing and says what to do`()
    async throws
  {
    try await withTestLoop("kitchen") { loop, calls in
      let caught = Shared<UVError?>(nil)
      let done = Event("the refusal")
      try loop.post { loop in
        let jobs = loop.probe.queued
        let iterations = loop.probe.iterations
        caught.value = errorOf { try loop.runBlocking { _ in calls.mark("body") } }
        if loop.probe.queued != jobs || loop.probe.iterations != iterations { calls.mark("queued") }
        done.signal()
      }
      try await done.wait()
      let error = try #require(caught.value)
      #expect(error.code == .wouldDeadlock)
      #expect(error.call == "runBlocking")
      #expect(error.message.contains("\"kitchen\""))
      #expect(error.message.contains("\(loop.thread)"))
      #expect(error.message.contains("await loop.run { loop in … }"))
      #expect(calls.log == [])
    }
  }

  @Test func `B-17 on another loop's thread it throws wouldDeadlock and names both loops and threads`() async throws {
    try await withTestLoop("kitchen") { kitchen, calls in
      try await withTestLoop("garden") { garden, _ in
        let caught = Shared<UVError?>(nil)
        let done = Event("the refusal")
        try garden.post {
          caught.value = errorOf { try kitchen.runBlocking { _ in calls.mark("body") } }
          done.signal()
        }
        try await done.wait()
        let error = try #require(caught.value)
        #expect(error.code == .wouldDeadlock)
        #expect(error.message.contains("\"kitchen\" on \(kitchen.thread)"))
        #expect(error.message.contains("\"garden\""))
        #expect(error.message.contains("was called on \(garden.thread)"))
        #expect(error.message.contains("await loop.run { loop in … }"))
        #expect(calls.log == [])
      }
    }
  }

  @Test func `B-16 shutdownBlocking on a loop's thread throws wouldDeadlock and stops nothing`() async throws {
    try await withTestLoop("kitchen") { kitchen, _ in
      try await withTestLoop("garden") { garden, _ in
        let caught = Shared<[UVError?]>([])
        let done = Event("the refusals")
        try garden.post {
          for loop in [garden, kitchen] {
            caught.update { $0.append(errorOf { try loop.shutdownBlocking() }) }
          }
          done.signal()
        }
        try await done.wait()
        #expect(caught.value.map { $0?.code } == [.wouldDeadlock, .wouldDeadlock])
        for error in caught.value {
          #expect(error?.message.contains("\(garden.thread)") == true)
          #expect(error?.message.contains("await loop.shutdown()") == true)
        }
        #expect(garden.state == .running && kitchen.state == .running)
      }
    }
  }

  @Test func `B-18 on pool workers it runs its body on the loop, also when all workers wait at once`() async throws {
    await #expect(processExitsWith: .success) {
      let loop = try EventLoop()
      let held = Event("each worker is held")
      let seen = try await withThrowingTaskGroup { group in
        for _ in 0..<ThreadPool.size {
          group.addTask {
            try await loop.offload {
              held.signal()
              guard held.waitBlocking(times: ThreadPool.size) else { fatalError("the workers were not held at once") }
              return try loop.runBlocking { loop in
                try await loop.sleep(for: .milliseconds(1))
                return loop.isCurrent ? ThreadIdentity.current : nil
              }
            }
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(seen == Array(repeating: loop.thread, count: 4))
      await loop.shutdown()
    }
  }

  @Test func `B-20 a thread that waits in runBlocking is released by shutdown while its body waits on the loop`()
    async throws
  {
    let loop = try EventLoop()
    let begun = Event("the body")
    let waiter = Waiter(loop) { loop in
      begun.signal()
      try await loop.sleep(for: .seconds(1_000))
    }
    try await begun.wait()
    // Behind the part of the body that signals: now it sleeps.
    await loop.run { _ in }
    let start = MonotonicClock.now()
    let report = await loop.shutdown()
    try await waiter.thread.join()
    #expect(MonotonicClock.now() - start < 10_000_000_000)
    #expect(waiter.error.value?.code == .loopClosed)
    #expect(waiter.error.value?.call == "runBlocking")
    #expect(report.unfinished.isEmpty)
    await expectThreadGone(loop.thread)
  }

  @Test func `B-20 a thread that waits in runBlocking is released by shutdown though its body goes on`() async throws {
    let loop = try EventLoop()
    let begun = Event("the body")
    let release = Event("the end of the body")
    let ended = Event("the body has ended")
    let waiter = Waiter(loop) { _ in
      begun.signal()
      try? await release.wait()
      ended.signal()
    }
    try await begun.wait()
    let start = MonotonicClock.now()
    await loop.shutdown()
    try await waiter.thread.join()
    #expect(MonotonicClock.now() - start < 10_000_000_000)
    #expect(waiter.error.value?.code == .loopClosed)
    #expect(!ended.hasHappened)
    release.signal()
    try await ended.wait()
    await expectThreadGone(loop.thread)
  }
}

private final class Box {
  var number: Int
  init(_ number: Int) { self.number = number }
}

/// Says when nobody holds it any more.
private final class LateResult {
  private let dropped: Event
  init(_ dropped: Event) { self.dropped = dropped }
  deinit { dropped.signal() }
}

private struct Full: Error {
  let level: Int
}

/// A plain thread in `runBlocking`.
private final class Waiter {
  let error: Shared<UVError?>
  let thread: PlainThread

  init(_ loop: EventLoop, _ body: @escaping @Sendable (isolated EventLoop) async throws -> Void) {
    let error = Shared<UVError?>(nil)
    self.error = error
    thread = PlainThread { error.value = errorOf { try loop.runBlocking { loop in try await body(loop) } } }
  }
}

/// The library's error that `body` throws, or nil.
private func errorOf(_ body: () throws -> Void) -> UVError? {
  do { try body() } catch { return error as? UVError }
  return nil
}
