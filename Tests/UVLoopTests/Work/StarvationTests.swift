import Testing

@testable import UVLoop

/// Calls that hold a worker and wait for the pool. All of it fills the pool, so all of it is in exit tests.
@Suite(.alone) struct StarvationTests {
  @Test func `C-16 a call that waits for another one works while a worker is free`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let workers = try await HeldWorkers(2, on: loop)
        let result = try await loop.offload { try loop.runBlocking { loop in try await loop.offload { 7 } } }
        #expect(result == 7)
        try await workers.release()
      }
    }
  }

  @Test func `C-16 a call that waits for one in the queue gets it when a worker comes free`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let workers = try await HeldWorkers(3, on: loop)
        let outer = Task { try await loop.offload { try loop.runBlocking { loop in try await loop.offload { 7 } } } }
        #expect(await eventually { ThreadPool.statistics.queued == 1 })
        try await workers.release()
        #expect(try await outer.value == 7)
      }
    }
  }

  @Test func `C-16 when every worker waits for the pool exactly the newest is refused, with the holders' labels`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        calls.expect("inner", 3)
        let arrived = Event("the arrival of a call")
        let tasks = (1...4).map { number in
          Task {
            try await loop.offload(label: "outer \(number)") {
              arrived.signal()
              arrived.waitBlocking(times: 4)
              try loop.runBlocking { loop in
                try await loop.offload(label: "inner \(number)") { calls.mark("inner") }
              }
            }
          }
        }
        var errors: [UVError] = []
        for task in tasks {
          do { try await task.value } catch let error as UVError { errors.append(error) }
        }
        #expect(errors.map(\.code) == [.wouldDeadlock])
        for number in 1...4 { #expect(errors.first?.message.contains("\"outer \(number)\"") == true) }
        #expect(errors.first?.message.contains("\"inner ") == true)
      }
    }
  }

  @Test func `C-16 a chain that holds both workers of a pool of two is refused at its third link`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(2)
      try await withTestLoop { loop, calls in
        calls.expect("third", 0)
        let code = await codeOfError {
          try await loop.offload(label: "first") {
            try loop.runBlocking { loop in
              try await loop.offload(label: "second") {
                try loop.runBlocking { loop in try await loop.offload(label: "third") { calls.mark("third") } }
              }
            }
          }
        }
        #expect(code == .wouldDeadlock)
      }
    }
  }

  @Test func `C-16 a chain over two loops is refused like one over one`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await withTestLoop("first") { first, calls in
        try await withTestLoop("second") { second, _ in
          calls.expect("inner", 0)
          let code = await codeOfError {
            try await first.offload {
              try second.runBlocking { second in try await second.offload { calls.mark("inner") } }
            }
          }
          #expect(code == .wouldDeadlock)
        }
      }
    }
  }

  @Test func `C-16 a refused call leaves the pool as it was`() async throws {
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      try await withTestLoop { loop, _ in
        for _ in 0..<50 {
          let code = await codeOfError {
            try await loop.offload { try loop.runBlocking { loop in try await loop.offload {} } }
          }
          #expect(code == .wouldDeadlock)
          let after = try await loop.offload { 7 }
          #expect(after == 7)
        }
        #expect(ThreadPool.statistics.queued == 0 && ThreadPool.statistics.running == 0)
      }
    }
  }

  @Test func `C-16 calls of others wait in the queue and are not refused while every worker is held`() async throws {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        calls.expect("body", 20)
        let workers = try await HeldWorkers(4, on: loop)
        let tasks = (0..<20).map { _ in Task { try await loop.offload { calls.mark("body") } } }
        #expect(await eventually { ThreadPool.statistics.queued == 20 })
        try await workers.release()
        for task in tasks { try await task.value }
      }
    }
  }

  @Test func `C-17 four calls on four workers report progress through runBlocking and all finish`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("progress", 400)
        let arrived = Event("the arrival of a call")
        let tasks = (1...4).map { number in
          loop.task { loop in
            let host = loop as EventLoop
            try await loop.offload(label: "job \(number)") {
              arrived.signal()
              arrived.waitBlocking(times: 4)
              for _ in 0..<100 { try host.runBlocking { loop in if loop.isCurrent { calls.mark("progress") } } }
            }
          }
        }
        for task in tasks { try await task.value }
      }
    }
  }
}
