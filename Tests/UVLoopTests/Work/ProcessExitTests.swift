import CLibUV
import Synchronization
import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The end of a process by `exit`, while its loops go on. libuv's library destructor takes down the pool and the lock
/// for signals then, and whoever comes there later aborts the process.
@Suite(.alone) struct ProcessExitTests {
  /// From the moment of the pool's threads being made to one where calls have come and gone.
  static let moments: [UInt32] = [0, 100, 300, 1_000, 3_000, 10_000, 40_000]

  @Test(arguments: moments)
  func `G-22 a process that exits while its loop offloads ends with the code that it gave`(moment: UInt32) async {
    await #expect(processExitsWith: .exitCode(7)) { [moment] in
      LingeringExit.prepare()
      let loop = try EventLoop()
      for _ in 0..<8 {
        Task.detached { while true { try? await loop.offload { spin(for: .microseconds(20)) } } }
      }
      PlainThread {
        usleep(moment)
        exit(7)
      }
      try await Task.sleep(for: .seconds(60))
    }
  }

  @Test(arguments: moments)
  func `G-22 a process that exits while callers abandon their calls ends with the code that it gave`(moment: UInt32)
    async
  {
    await #expect(processExitsWith: .exitCode(7)) { [moment] in
      LingeringExit.prepare()
      let loop = try EventLoop()
      for _ in 0..<8 {
        Task.detached {
          while true {
            let call = Task { try? await loop.offload(onCancel: .abandon) { spin(for: .microseconds(20)) } }
            await Task.yield()
            call.cancel()
            await call.value
          }
        }
      }
      PlainThread {
        usleep(moment)
        exit(7)
      }
      try await Task.sleep(for: .seconds(60))
    }
  }

  @Test func `G-22 exit on the loop's thread in the midst of offloading ends the process`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      LingeringExit.prepare()
      let loop = try EventLoop()
      for _ in 0..<8 {
        Task.detached { while true { try? await loop.offload { spin(for: .microseconds(20)) } } }
      }
      try await loop.run { loop in _ = try loop.schedule(after: .milliseconds(5)) { exit(7) } }
      try await Task.sleep(for: .seconds(60))
    }
  }

  @Test func `G-22 calls on the pool that wait for others through their loop do not hold up the exit`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      let loop = try EventLoop()
      let begun = Event("some rounds")
      for _ in 0..<3 {
        Task.detached {
          while true {
            try? await loop.offload {
              try? loop.runBlocking { loop in try await loop.offload { spin(for: .microseconds(20)) } }
              begun.signal()
            }
          }
        }
      }
      try await begun.wait(times: 20)
      exit(7)
    }
  }

  @Test func `G-22 while the process exits a loop may still be shut down, on a worker too`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      try await ProcessExitTests.exitWhileACallShutsDownALoop(whoseTaskOffloadsThroughIt: true)
    }
  }

  @Test func `G-22 while the process exits a call that does not begin any more can still be cancelled`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      try await ProcessExitTests.exitWhileACallShutsDownALoop(whoseTaskOffloadsThroughIt: false)
    }
  }

  private static let exitHasBegun = Event("the end of offloading")

  /// The exit waits for a call on the pool, and this for a loop with a task whose call does not begin any more: through
  /// that loop, or through another one, which does not end.
  private static func exitWhileACallShutsDownALoop(whoseTaskOffloadsThroughIt isItsOwn: Bool) async throws {
    // Before the first loop, and so called when nothing begins any more.
    atexit { ProcessExitTests.exitHasBegun.signal() }
    let (loop, ending) = (try EventLoop(), try EventLoop())
    let (begun, isLate) = (Event("the begin of the call"), Event("a late call"))
    Task.detached {
      try await loop.offload {
        begun.signal()
        // Where it hangs.
        alarm(30)
        isLate.waitBlocking()
        do {
          // The late call has left the loop of its task, and come to the one that it goes through.
          for passed in [ending, loop] { try passed.runBlocking { _ in } }
          try ending.shutdownBlocking()
        } catch {
          fatalError("\(error)")
        }
      }
    }
    ending.task { _ in
      try await exitHasBegun.wait()
      isLate.signal()
      try await (isItsOwn ? ending : loop).offload {}
    }
    try await begun.wait()
    exit(7)
  }

  @Test func `G-22 what was registered with atexit before the first loop may wait for it and not for the pool`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      atexit {
        // Where it hangs.
        alarm(30)
        guard let loop = ProcessExitTests.loop.withLock({ $0 }) else { fatalError("no loop") }
        do {
          try loop.runBlocking { loop in try await loop.offload {} }
          abort()
        } catch let error as UVError where error.code == .loopClosed {
        } catch {
          fatalError("\(error)")
        }
        do {
          guard try loop.runBlocking({ _ in 1 }) == 1 else { abort() }
          try loop.shutdownBlocking()
        } catch {
          fatalError("\(error)")
        }
      }
      let loop = try EventLoop()
      ProcessExitTests.loop.withLock { $0 = loop }
      exit(7)
    }
  }

  @Test func `G-22 what stays on a loop because the process exits is not taken for a handle of C code`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      atexit {
        // Where it hangs.
        alarm(30)
        guard let loop = ProcessExitTests.loop.withLock({ $0 }) else { fatalError("no loop") }
        do {
          let report = try loop.shutdownBlocking()
          guard report.foreignHandles.isEmpty else { fatalError("\(report)") }
        } catch {
          fatalError("\(error)")
        }
      }
      let loop = try EventLoop()
      ProcessExitTests.loop.withLock { $0 = loop }
      try await loop.run { _ in try SignalHandle(.hangup).start {} }
      exit(7)
    }
  }

  private static let loop = Mutex<EventLoop?>(nil)

  @Test func `G-22 a process that exits while its loops start and stop to watch signals ends with its code`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      LingeringExit.prepare()
      let rounds = Event("some rounds")
      for signal in [Signal.hangup, .user2] {
        let loop = try EventLoop()
        Task.detached {
          while true {
            try? await loop.run { _ in
              let handle = try SignalHandle(signal)
              try handle.start {}
              handle.close()
            }
            rounds.signal()
          }
        }
      }
      try await rounds.wait(times: 200)
      exit(7)
    }
  }

  @Test func `G-22 when shutdown has returned the loop uses libuv no more, whatever was offloaded before`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      for _ in 0..<100 {
        let loop = try EventLoop()
        await withTaskGroup { group in
          for _ in 0..<4 { group.addTask { try? await loop.offload { spin(for: .microseconds(5)) } } }
        }
        await loop.shutdown()
        #expect(loop.probe.isClosed)
      }
    }
  }
}
