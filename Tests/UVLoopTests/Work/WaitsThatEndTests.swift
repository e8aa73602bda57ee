import Testing

@testable import UVLoop

/// Offloaded calls whose waits in `runBlocking` are over: they hold nobody up, and nobody keeps them. All of it fills
/// the pool, so all of it is in exit tests.
@Suite(.alone) struct WaitsThatEndTests {
  @Test func `C-21 what a runBlocking started and did not wait for is served although its pool has one worker`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await withTestLoop { loop, _ in
        // The task's first job is on the loop before the body has ended, and so before any job that the end needs.
        let started = try await loop.offload {
          try loop.runBlocking { loop in Task { try await loop.offload { 7 } } }
        }
        #expect(try await started.value == 7)
      }
    }
  }

  @Test func `C-21 over 20 000 rounds none is refused, and who has ended is in no chain`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(2)
      try await withTestLoop { loop, _ in
        let rounds = Rounds(on: loop)
        try await rounds.run(20_000)
        // Whoever has not ended holds a worker.
        #expect(rounds.longest.value <= 2)
      }
    }
  }

  @Test func `C-21 a call that has ended is freed, however many have begun from inside one another`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(2)
      try await withTestLoop { loop, _ in
        let rounds = Rounds(on: loop, overlap: true)
        // While they run, since at the end of the last one all would be free.
        try await rounds.run(5_500)
        let bytes = rounds.allocatedBytes.value
        let growth = zip(bytes.dropFirst(), bytes).map { $0 - $1 }
        // What is kept for ever grows in every batch, by the size of an offloaded call at least; the rest in steps.
        let smallest = try #require(growth.min())
        #expect(smallest < 1_000 * 64, "each 1 000 rounds left \(growth) bytes")
      }
    }
  }

  @Test func `C-16 a call is refused whose holder waits for it in a later runBlocking than the one that started it`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await withTestLoop { loop, calls in
        calls.expect("inner", 0)
        let mayGoOn = Event("the second wait")
        let code = await codeOfError {
          try await loop.offload {
            let inner = try loop.runBlocking { loop in
              Task {
                try await mayGoOn.wait()
                try await loop.offload { calls.mark("inner") }
              }
            }
            try loop.runBlocking { _ in
              mayGoOn.signal()
              try await inner.value
            }
          }
        }
        #expect(code == .wouldDeadlock)
      }
    }
  }

  @Test func `C-16 a body that ends after its timeout does not hide the next wait of its worker`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await withTestLoop { loop, calls in
        calls.expect("inner", 0)
        let isOver = Event("the timeout")
        let code = await codeOfError {
          try await loop.offload {
            try? loop.runBlocking(timeout: .milliseconds(1)) { _ in try await isOver.wait() }
            isOver.signal()
            try loop.runBlocking { loop in
              try await iterate(loop)
              try await loop.offload { calls.mark("inner") }
            }
          }
        }
        #expect(code == .wouldDeadlock)
      }
    }
  }
}

/// Rounds, one after the other: an offloaded call starts the next from inside `runBlocking`, and does not wait for it.
private final class Rounds: Sendable {
  /// The most links that a call has found in a chain.
  let longest = Shared(0)
  /// What was allocated after each 1 000 rounds.
  let allocatedBytes = Shared<[Int]>([])
  private let loop: EventLoop
  private let overlap: Bool
  private let failure = Shared<(any Error)?>(nil)

  /// - Parameter overlap: Each call ends when the next has begun, which so finds it in its chain.
  init(on loop: EventLoop, overlap: Bool = false) {
    self.loop = loop
    self.overlap = overlap
  }

  func run(_ count: Int) async throws {
    let end = Event("the end of the rounds")
    start(count, end) {}
    try await end.wait(within: .seconds(300))
    if let error = failure.value { throw error }
  }

  private func start(_ left: Int, _ end: Event, _ hasBegun: @escaping @Sendable () -> Void) {
    Task {
      if left == 0 {
        hasBegun()
        return end.signal()
      }
      do {
        try await loop.offload {
          hasBegun()
          let next = Event("the beginning of the next call")
          try self.loop.runBlocking { _ in
            self.longest.update { $0 = max($0, WorkerLeases.chain.count, LoopTasks.chain.count) }
            self.start(left - 1, end) { next.signal() }
          }
          if left % 1_000 == 0, let bytes = Process.allocatedBytes { self.allocatedBytes.update { $0.append(bytes) } }
          if self.overlap { next.waitBlocking() }
        }
      } catch {
        failure.value = error
        end.signal()
      }
    }
  }
}
