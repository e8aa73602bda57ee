import Testing

@testable import UVLoop

/// One call for each of many items.
@Suite(.sideBySide) struct OffloadPoolMapTests {
  private struct Broken: Error, Equatable { let number: Int }

  @Test(arguments: [0, 1, 3, 100])
  func `C-37 the results come in the items' order, however long each takes`(count: Int) async throws {
    try await withOffloadPool(threads: 4) { pool in
      let found = try await pool.map(0..<count) { number in
        for _ in 0..<(number % 7) * 100 { Posix.yield() }
        return number * 2
      }
      #expect(found == (0..<count).map { $0 * 2 })
    }
  }

  @Test(arguments: [1, 2, 3])
  func `C-37 no more calls are at the pool than the limit says`(limit: Int) async throws {
    try await withOffloadPool(threads: 8) { pool in
      let (now, most) = (Shared(0), Shared(0))
      _ = try await pool.map(0..<60, atMost: limit) { _ in
        let count = now.update { count in
          count += 1
          return count
        }
        most.update { $0 = max($0, count) }
        Posix.yield()
        now.update { $0 -= 1 }
        return 0
      }
      #expect(most.value <= limit && pool.statistics.threads <= limit)
    }
  }

  @Test func `C-37 the first error ends it: what has not begun never does, and what runs is awaited`() async throws {
    try await withOffloadPool(threads: 2) { pool in
      let (begun, ended) = (Counter(), Counter())
      let (otherHasBegun, hasFailed) = (Event("the other call's beginning"), Event("the error"))
      await #expect(throws: Broken(number: 1)) {
        _ = try await pool.map(0..<100) { number in
          begun.add()
          defer { ended.add() }
          if number == 1 {
            // A call that has not begun would be taken back.
            otherHasBegun.waitBlocking()
            hasFailed.signal()
            throw Broken(number: 1)
          }
          otherHasBegun.signal()
          // It ends after the error, and is waited for.
          hasFailed.waitBlocking()
          while !Task.isCancelled { Posix.yield() }
          return 0
        }
      }
      #expect(begun.value == 2 && ended.value == 2)
      #expect(pool.statistics.queued == 0)
    }
  }

  @Test func `C-37 cancelled it takes back what has not begun, and throws`() async throws {
    try await withOffloadPool(threads: 1) { pool in
      let held = try await HeldThreads(1, of: pool)
      let task = Task { try await pool.map(0..<10, atMost: 5) { $0 } }
      await expectEventually { pool.statistics.queued == 5 }
      task.cancel()
      try await expectCancelled { _ = try await task.value }
      #expect(pool.statistics.queued == 0)
      held.release()
    }
  }

  @Test func `C-37 each result comes to the caller's isolation as soon as it is there`() async throws {
    try await withOffloadPool(threads: 2) { pool in
      try await onTestLoop { loop, _ in
        let mayEnd = Event("the end of the first call")
        var order: [Int] = []
        try await pool.map(0..<2) { number in
          if number == 0 { mayEnd.waitBlocking() }
          return number
        } onResult: { index, result in
          #expect(index == result && loop.isCurrent)
          order.append(index)
          // It holds the first one until the second has come.
          mayEnd.signal()
        }
        #expect(order == [1, 0])
        await #expect(throws: Broken(number: 5)) {
          try await pool.map(0..<9, atMost: 1) {
            $0
          } onResult: { index, _ in
            if index == 5 { throw Broken(number: 5) }
          }
        }
      }
    }
  }

  @Test(arguments: [0, -1, .min])
  func `C-37 a limit that lets none begin is refused`(limit: Int) async throws {
    try await withOffloadPool { pool in
      try await expectCode(.invalidArgument) { _ = try await pool.map(0..<3, atMost: limit) { $0 } }
    }
  }
}
