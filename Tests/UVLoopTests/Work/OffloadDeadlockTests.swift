import Testing

@testable import UVLoop

/// Calls on pools that wait for calls on pools: what could never begin is refused, and nothing else is.
@Suite(.alone) struct OffloadDeadlockTests {
  @Test func `C-36 a call from a pool's only thread to that pool is refused, and the message says why`() async throws {
    try await withTestLoop { loop, _ in
      try await withOffloadPool(name: "single", threads: 1) { pool in
        let error = try await pool.run(label: "outer") { () -> UVError? in
          do {
            try loop.runBlocking { loop in try await loop.offload(on: pool, label: "inner") {} }
            return nil
          } catch { return error as? UVError }
        }
        #expect(error?.code == .wouldDeadlock)
        for word in ["\"inner\"", "\"outer\"", "pool \"single\"", "more threads"] {
          #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
        }
        // Also without a loop between them.
        try await expectCode(.wouldDeadlock) { try await pool.run { try pool.runBlocking {} } }
        #expect(try await pool.run { 1 } == 1)
      }
    }
  }

  @Test func `C-36 with a thread to spare it is not, also where that has to be started`() async throws {
    try await withTestLoop { loop, _ in
      try await withOffloadPool(threads: 2) { pool in
        let sum = try await pool.run { try loop.runBlocking { loop in try await loop.offload(on: pool) { 1 } } + 1 }
        #expect(sum == 2)
        #expect(try await pool.run { try pool.runBlocking { 3 } } == 3)
      }
    }
  }

  @Test func `C-36 while somebody on the pool does not wait for it the call waits`() async throws {
    try await withTestLoop { loop, _ in
      try await withOffloadPool(threads: 2) { pool in
        let held = try await HeldThreads(1, of: pool)
        let outer = Task {
          try await pool.run { try loop.runBlocking { loop in try await loop.offload(on: pool) { 4 } } }
        }
        await expectEventually { pool.statistics.queued == 1 }
        held.release()
        #expect(try await outer.value == 4)
      }
    }
  }

  @Test func `C-36 a chain over two pools that comes back to the first is refused at its end`() async throws {
    try await withTestLoop { loop, _ in
      try await withOffloadPool(name: "first", threads: 1) { first in
        try await withOffloadPool(name: "second", threads: 1) { second in
          let error = try await first.run(label: "a") {
            try loop.runBlocking { loop in
              try await loop.offload(on: second, label: "b") { () -> UVError? in
                do {
                  try loop.runBlocking { loop in try await loop.offload(on: first, label: "c") {} }
                  return nil
                } catch { return error as? UVError }
              }
            }
          }
          #expect(error?.code == .wouldDeadlock)
          #expect(error?.message.contains("\"c\" could never begin") == true, "\(error?.message ?? "")")
          #expect(error?.message.contains("pool \"first\"") == true)
        }
      }
    }
  }

  @Test func `C-36 so it is where no loop stands between the pools`() async throws {
    try await withOffloadPool(name: "first", threads: 1) { first in
      try await withOffloadPool(name: "second", threads: 1) { second in
        try await expectCode(.wouldDeadlock) {
          try await first.run { try second.runBlocking { try first.runBlocking {} } }
        }
        try await first.run { try second.runBlocking {} }
      }
    }
  }

  @Test func `C-36 of two pools that wait for each other the last wait is refused, and the other call ends`()
    async throws
  {
    try await withTestLoop { loop, _ in
      for _ in 0..<50 {
        try await withOffloadPool(name: "left", threads: 1) { left in
          try await withOffloadPool(name: "right", threads: 1) { right in
            let begun = Event("both calls hold their pools")
            @Sendable func cross(_ own: OffloadPool, _ other: OffloadPool) async throws -> Bool {
              do {
                return try await own.run {
                  begun.signal()
                  begun.waitBlocking(times: 2)
                  return try loop.runBlocking { loop in try await loop.offload(on: other) { true } }
                }
              } catch let error as UVError where error.code == .wouldDeadlock {
                return false
              }
            }
            async let one = cross(left, right)
            async let two = cross(right, left)
            let ends = try await [one, two]
            #expect(ends.contains(true) && ends.contains(false))
          }
        }
      }
    }
  }

  @Test func `C-36 a pool and libuv's wait for each other, and that is seen too`() async {
    // In a process of its own, since all of libuv's pool is held.
    await #expect(processExitsWith: .success) {
      try ThreadPool.setSize(1)
      let loop = try EventLoop()
      let pool = try OffloadPool(name: "own", threads: 1)
      let error = try await loop.offload(label: "on libuv's") {
        try loop.runBlocking { loop in
          try await loop.offload(on: pool) { () -> UVError? in
            do {
              try loop.runBlocking { loop in try await loop.offload {} }
              return nil
            } catch { return error as? UVError }
          }
        }
      }
      #expect(error?.code == .wouldDeadlock)
      #expect(error?.message.contains("ThreadPool.setSize") == true)
      await loop.shutdown()
      await pool.shutdown()
    }
  }

  @Test func `C-36 what is refused leaves room for the next, and who waits for room counts as queued`() async throws {
    try await withTestLoop { loop, _ in
      try await withOffloadPool(threads: 1, queueLimit: 0) { pool in
        for _ in 0..<100 {
          try await expectCode(.wouldDeadlock) {
            try await pool.run { try loop.runBlocking { loop in try await loop.offload(on: pool) {} } }
          }
        }
        #expect(pool.statistics.queued == 0 && pool.statistics.waitingForRoom == 0)
      }
    }
  }
}
