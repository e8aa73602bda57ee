import CLibUV
import Testing

@testable import UVLoop

/// Offloaded calls share the workers with whoever else uses the pool. It is one per process, so that each test has a
/// process of its own, with a single worker.
@Suite(.alone) struct PoolTaskTests {
  /// Offloads again and again, `width` calls at a time, until told to stop; counts the calls.
  private static func flood(_ loop: EventLoop, width: Int, _ ran: Counter, until isOver: Shared<Bool>) -> [Task<
    Void, any Error
  >] {
    (0..<width).map { _ in
      loop.task { loop in while !isOver.value { try await loop.offload { _ = ran.add() } } }
    }
  }

  /// A request that C code puts into the pool.
  @safe private final class Neighbour {
    let done = Event("the end of a neighbour's request")
    private let work: @Sendable () -> Void
    private let request = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)

    init(_ work: @escaping @Sendable () -> Void) { self.work = work }

    deinit { unsafe request.deallocate() }

    func submit(on loop: UnsafeMutableRawPointer) {
      unsafe request.pointee.data = unsafe Unmanaged.passRetained(self).toOpaque()
      let status = unsafe uv_queue_work(
        loop.assumingMemoryBound(to: uv_loop_t.self), request,
        { request in
          if let data = unsafe request?.pointee.data {
            unsafe Unmanaged<Neighbour>.fromOpaque(data).takeUnretainedValue().work()
          }
        },
        { request, _ in
          if let data = unsafe request?.pointee.data {
            unsafe Unmanaged<Neighbour>.fromOpaque(data).takeRetainedValue().done.signal()
          }
        })
      #expect(status == 0)
    }
  }

  @Test func `calls in line leave the only worker to a neighbour's request after a budget`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await onTestLoop { loop, _ in
        let (ran, before) = (Counter(), Counter())
        let held = try await HeldWorkers(1, on: loop)
        let tasks = (0..<1_000).map { _ in
          loop.task { loop in
            try await loop.offload {
              // The loop runs meanwhile, and sends the pool task that follows.
              PoolTaskTests.waitForTwoIterations(of: loop)
              ran.add()
            }
          }
        }
        while ThreadPool.statistics.queued < 1_000 { try await loop.sleep(for: .zero) }
        let neighbour = Neighbour { before.add(ran.value) }
        unsafe loop.withUnsafeLoop { unsafe neighbour.submit(on: $0) }
        held.open()
        try await neighbour.done.wait()
        // The budget is 64 calls. One pool task may have stood in the pool's queue before it.
        #expect(before.value <= 128, "\(before.value) calls ran before it")
        try await held.release()
        for task in tasks { try await task.value }
        #expect(ran.value == 1_000)
      }
    }
  }

  /// On a worker: what had come to the loop before is dealt with when this returns.
  private static func waitForTwoIterations(of loop: EventLoop) {
    for _ in 0..<2 {
      let iterated = Event("an iteration of the loop")
      do { try loop.post { iterated.signal() } } catch { return }
      iterated.waitBlocking()
    }
  }

  @Test func `a flood of calls of one loop leaves the only worker to another loop`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await withTestLoop("flood") { flooded, _ in
        let (ran, isOver) = (Counter(), Shared(false))
        let tasks = PoolTaskTests.flood(flooded, width: 64, ran, until: isOver)
        try await onTestLoop("other") { other, _ in
          while ran.value == 0 { try await other.sleep(for: .zero) }
          for _ in 0..<20 { try await other.offload {} }
        }
        isOver.value = true
        for task in tasks { try await task.value }
      }
    }
  }

  @Test func `calls that come one at a time leave the only worker to a neighbour's request`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await onTestLoop { loop, _ in
        let (ran, isOver) = (Counter(), Shared(false))
        let tasks = PoolTaskTests.flood(loop, width: 1, ran, until: isOver)
        while ran.value < 100 { try await loop.sleep(for: .zero) }
        let neighbour = Neighbour {}
        unsafe loop.withUnsafeLoop { unsafe neighbour.submit(on: $0) }
        try await neighbour.done.wait()
        isOver.value = true
        for task in tasks { try await task.value }
      }
    }
  }

  @Test func `calls in line all run though the loop is blocked`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await onTestLoop { loop, _ in
        let ran = Event("the run of an offloaded call")
        let held = try await HeldWorkers(1, on: loop)
        let tasks = (0..<1_000).map { _ in loop.task { loop in try await loop.offload { ran.signal() } } }
        while ThreadPool.statistics.queued < 1_000 { try await loop.sleep(for: .zero) }
        held.open()
        // The loop's thread waits here for far more calls than a budget has.
        #expect(PoolTaskTests.wait(for: ran, times: 1_000))
        try await held.release()
        for task in tasks { try await task.value }
      }
    }
  }

  /// Blocks the calling thread, which no asynchronous code should.
  private static func wait(for event: Event, times: Int) -> Bool { event.waitBlocking(times: times) }

  @Test func `a loop ends at once though a pool task of its own waits behind what others do in the pool`() async {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await withTestLoop("holder") { holder, _ in
        let held = try await HeldWorkers(1, on: holder)
        try await withTestLoop("ending") { loop, _ in
          let task = loop.task { loop in try await loop.offload {} }
          #expect(await eventually { ThreadPool.statistics.queued == 1 })
          task.cancel()
          await #expect(throws: CancellationError.self) { try await task.value }
          // Ends here, thread and all, while the worker is still held.
        }
        try await held.release()
      }
    }
  }
}
