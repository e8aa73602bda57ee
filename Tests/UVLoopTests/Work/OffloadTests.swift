import CLibUV
import Testing

@testable import UVLoop

@Suite(.alone) struct OffloadTests {
  private struct Broken: Error, Equatable { let number: Int }

  @TaskLocal static var word = "unset"

  // MARK: C-01

  @Test func `C-01 on the loop the closure runs elsewhere and the caller goes on on the loop`() async throws {
    try await onTestLoop { loop, _ in
      let (worker, current) = try await loop.offload { (ThreadIdentity.current, EventLoop.current == nil) }
      #expect(worker != loop.thread)
      #expect(current)
      #expect(loop.isCurrent)
    }
  }

  @Test @MainActor func `C-01 on MainActor the closure runs elsewhere and the caller goes on there`() async throws {
    try await withTestLoop { loop, _ in
      let main = ThreadIdentity.current
      let worker = try await loop.offload { ThreadIdentity.current }
      #expect(worker != loop.thread)
      #expect(worker != main)
      // A trap where it were not so; the thread of MainActor may change.
      MainActor.preconditionIsolated()
    }
  }

  @Test func `C-01 in a plain task the closure runs on neither thread and the caller does not stay on the worker`()
    async throws
  {
    try await withTestLoop { loop, _ in
      let (worker, afterwards) = try await Task.detached {
        let worker = try await loop.offload { ThreadIdentity.current }
        return (worker, ThreadIdentity.current)
      }.value
      #expect(worker != loop.thread)
      #expect(afterwards != worker)
      #expect(afterwards != loop.thread)
    }
  }

  @Test func `C-01 in an actor of another loop the caller goes on on that loop`() async throws {
    try await withTestLoop("pool's") { loop, _ in
      try await onTestLoop("caller's") { caller, _ in
        let worker = try await loop.offload { ThreadIdentity.current }
        #expect(worker != loop.thread)
        #expect(worker != caller.thread)
        #expect(caller.isCurrent)
      }
    }
  }

  // MARK: C-02

  @Test func `C-02 the closure's own error arrives unchanged`() async throws {
    try await onTestLoop { loop, _ in
      do {
        try await loop.offload { throw Broken(number: 7) }
        Issue.record("no error")
      } catch {
        #expect(error as? Broken == Broken(number: 7))
        #expect(loop.isCurrent)
      }
    }
  }

  @Test func `C-02 a CancellationError of the closure's own arrives and cancels nobody`() async throws {
    try await withTestLoop { loop, _ in
      let (error, isCancelled) = await Task {
        do {
          try await loop.offload { throw CancellationError() }
          return (nil as (any Error)?, Task.isCancelled)
        } catch {
          return (error, Task.isCancelled)
        }
      }.value
      #expect(error is CancellationError)
      #expect(!isCancelled)
    }
  }

  // MARK: C-03

  @Test func `C-03 the caller's task-locals are seen in the closure`() async throws {
    try await onTestLoop { loop, _ in
      let seen = try await Self.$word.withValue("the caller's") { try await loop.offload { Self.word } }
      #expect(seen == "the caller's")
    }
  }

  @Test func `C-03 the caller's task name is seen in the closure`() async throws {
    try await withTestLoop { loop, _ in
      let seen = try await Task(name: "reader") { try await loop.offload { Task.name } }.value
      #expect(seen == "reader")
    }
  }

  @Test(arguments: [TaskPriority.background, .utility, .high])
  func `C-03 the caller's priority is seen in the closure`(priority: TaskPriority) async throws {
    try await withTestLoop { loop, _ in
      let task = Task.detached(priority: priority) { () -> (TaskPriority, TaskPriority) in
        let outside = Task.basePriority ?? .medium
        return (outside, try await loop.offload { Task.basePriority ?? .medium })
      }
      let seen = try await task.value
      #expect(seen.0 == priority)
      #expect(seen.1 == priority)
    }
  }

  // MARK: C-05

  @Test func `C-05 ticks keep coming while a closure blocks its worker`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("tick", 40)
      let enough = Event("40 ticks")
      let job = loop.task { loop in try await loop.offload { enough.waitBlocking() } }
      let clock = loop.clock
      var latest = Duration.zero
      for try await tick in try loop.ticks(every: .milliseconds(5)) {
        latest = max(latest, tick.duration(to: clock.now))
        calls.mark("tick")
        if calls.count("tick") == 40 { break }
      }
      enough.signal()
      #expect(try await job.value)
      #expect(latest <= .milliseconds(200), "a tick was \(latest) late")
    }
  }

  // MARK: C-18

  @Test func `C-18 after the end of the loop it throws loopClosed and keeps nothing`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body", 0)
      let released = Event("the release of the captures")
      await loop.shutdown()
      let code = await codeOfError {
        let witness = ReleaseWitness(released)
        try await loop.offload {
          witness.touch()
          calls.mark("body")
        }
      }
      #expect(code == .loopClosed)
      try await released.wait()
    }
  }

  @Test func `C-18 while the loop is stopping it throws loopClosed`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body", 0)
      let workers = try await HeldWorkers(1, on: loop)
      let end = Task { await loop.shutdown() }
      #expect(await eventually { loop.state == .stopping })
      let code = await codeOfError { try await loop.offload { calls.mark("body") } }
      #expect(code == .loopClosed)
      #expect(loop.state == .stopping)
      try await workers.release()
      _ = await end.value
    }
  }

  // MARK: C-19

  /// libuv counts the requests of a loop up when they are submitted, on whatever thread, and down on the loop's own.
  @Test func `C-19 called from eight threads it hands nothing to libuv but on the loop's thread`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body", 8)
      let blocked = Event("the loop is held")
      let go = Event("the loop may go on")
      let requests = Shared<UInt32?>(nil)
      try loop.post {
        blocked.signal()
        go.waitBlocking()
        requests.value = loop.probe.uvRequests
      }
      try await blocked.wait()
      let before = loop.probe.posts
      let threads = try await withThrowingTaskGroup(of: ThreadIdentity.self) { group in
        for number in 1...8 {
          group.addTask {
            try await onTestLoop("caller \(number)") { caller, _ in
              let thread = ThreadIdentity.current
              try await loop.offload { calls.mark("body") }
              return thread
            }
          }
        }
        #expect(await eventually { loop.probe.posts >= before + 8 })
        go.signal()
        return try await group.reduce(into: Set<ThreadIdentity>()) { $0.insert($1) }
      }
      #expect(threads.count == 8)
      #expect(requests.value == 0)
    }
  }
}
