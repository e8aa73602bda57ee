import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Messages that reach a loop after its end: an executor cannot refuse them.
@Suite(.alone) struct ShutdownLateJobsTests {
  private actor Meter: LoopActor {
    nonisolated let loop: EventLoop
    private var timer: TimerHandle?
    private var depth = 0
    private(set) var visits = 0

    init(_ loop: EventLoop) { self.loop = loop }

    func prepare() throws { timer = try TimerHandle() }

    /// True if another visit was inside meanwhile.
    func visit() -> Bool {
      depth += 1
      visits += 1
      Posix.yield()
      defer { depth -= 1 }
      return depth > 1
    }

    func place() -> (isCurrent: Bool, isIsolating: Bool, hasLoop: Bool) {
      (loop.isCurrent, loop.probe.isIsolating, EventLoop.current != nil)
    }

    func handleCalls() -> [UVError.Code?] {
      var codes: [UVError.Code?] = []
      do throws(UVError) { _ = try TimerHandle() } catch { codes.append(error.code) }
      do throws(UVError) { try timer?.start(after: .zero) {} } catch { codes.append(error.code) }
      do throws(UVError) { try timer?.again() } catch { codes.append(error.code) }
      do throws(UVError) { try loop.schedule(after: .zero) {} } catch { codes.append(error.code) }
      return codes
    }

    func harmlessCalls() -> Bool {
      timer?.stop()
      timer?.close()
      let isClosed = timer?.isClosed == true
      timer = nil
      return isClosed
    }
  }

  @Test func `G-11 messages after the stop complete, each exactly once`() async throws {
    try await withTestLoop { loop, _ in
      let meter = Meter(loop)
      await loop.shutdown()
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<8 {
          group.addTask { for _ in 0..<200 { _ = await meter.visit() } }
        }
      }
      #expect(await meter.visits == 1_600)
    }
  }

  @Test func `G-11 messages after the stop run one at a time`() async throws {
    try await withTestLoop { loop, _ in
      let meter = Meter(loop)
      await loop.shutdown()
      let overlaps = await withTaskGroup(of: Int.self) { group in
        for _ in 0..<8 {
          group.addTask {
            var overlaps = 0
            for _ in 0..<200 where await meter.visit() { overlaps += 1 }
            return overlaps
          }
        }
        return await group.reduce(0, +)
      }
      #expect(overlaps == 0)
    }
  }

  @Test func `G-11 handle calls in a message after the stop throw loopClosed`() async throws {
    try await withTestLoop { loop, _ in
      let meter = Meter(loop)
      try await meter.prepare()
      await loop.shutdown()
      #expect(await meter.handleCalls() == [.loopClosed, .loopClosed, .loopClosed, .loopClosed])
    }
  }

  @Test func `G-11 stopping, closing and dropping a handle after the stop do nothing`() async throws {
    try await withTestLoop { loop, _ in
      let meter = Meter(loop)
      try await meter.prepare()
      await loop.shutdown()
      #expect(await meter.harmlessCalls())
    }
  }

  @Test func `G-11 a message after the stop is isolated, and on no loop's thread`() async throws {
    try await withTestLoop { loop, _ in
      let meter = Meter(loop)
      await loop.shutdown()
      let place = await meter.place()
      #expect(!place.isCurrent)
      #expect(place.isIsolating)
      #expect(!place.hasLoop)
    }
  }

  @Test func `G-11 a task that prefers an ended loop runs to its end`() async throws {
    try await withTestLoop { loop, _ in
      let executor = loop.taskExecutor
      await loop.shutdown()
      let sum = await Task(executorPreference: executor) {
        var sum = 0
        for number in 1...10 {
          await Task.yield()
          sum += number
        }
        return sum
      }.value
      #expect(sum == 55)
    }
  }

  @Test func `G-11 a loop task after the stop throws loopClosed and does not start`() async throws {
    try await withTestLoop { loop, calls in
      calls.expect("body", 0)
      await loop.shutdown()
      let task: Task<Void, any Error> = loop.task { _ in
        calls.mark("body")
        try Task.checkCancellation()
      }
      #expect(await codeOfError { try await task.value } == .loopClosed)
    }
  }

  @Test func `G-11 a loop task that cannot fail runs cancelled after the stop`() async throws {
    try await withTestLoop { loop, _ in
      await loop.shutdown()
      let task: Task<Bool, Never> = loop.task { _ in Task.isCancelled }
      #expect(await task.value)
    }
  }

  @Test func `G-11 tasks that go on and on after the stop leave Swift's pool to others`() async throws {
    await #expect(processExitsWith: .success) {
      let ended = Event("a task of somebody else's")
      PlainThread { if !ended.waitBlocking() { _exit(1) } }
      // More than the pool has threads.
      for _ in 0...sysconf(Int32(_SC_NPROCESSORS_ONLN)) {
        let loop = try EventLoop()
        loop.task { _ in while true { await Task.yield() } }
        #expect(await loop.shutdown(within: .zero).unfinished.count == 1)
      }
      await Task.detached { ended.signal() }.value
      // At once, since those tasks go on for ever.
      _exit(0)
    }
  }
}
