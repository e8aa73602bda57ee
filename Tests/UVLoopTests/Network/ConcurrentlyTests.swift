import Testing

@testable import UVLoop

@Suite(.sideBySide) struct ConcurrentlyTests {
  private struct First: Error {}
  private struct Second: Error {}

  /// Not Sendable: it belongs where it was made.
  private final class Log {
    var words: [String] = []
  }

  @Test func `both run in the caller's isolation, take turns, and give what they return`() async throws {
    try await onTestLoop { loop, _ in
      let log = Log()
      let timer = try TimerHandle()
      let (number, text) = try await loop.concurrently(
        {
          for round in 0..<3 {
            loop.assertIsolated()
            log.words.append("a\(round)")
            try await loop.sleep(for: .zero)
          }
          return 7
        },
        {
          for round in 0..<3 {
            loop.assertIsolated()
            log.words.append("b\(round)")
            timer.stop()
            try await loop.sleep(for: .zero)
          }
          return "seven"
        })
      #expect(number == 7 && text == "seven")
      #expect(log.words.sorted() == ["a0", "a1", "a2", "b0", "b1", "b2"])
      #expect(log.words.firstIndex(of: "b0") ?? .max < log.words.firstIndex(of: "a2") ?? 0)
      timer.close()
    }
  }

  @MainActor @Test func `on the main actor both run there`() async throws {
    try await withTestLoop { loop, _ in
      let log = Log()
      _ = try await loop.concurrently(
        {
          MainActor.preconditionIsolated()
          log.words.append("a")
          try await loop.sleep(for: .milliseconds(1))
          MainActor.preconditionIsolated()
        },
        {
          MainActor.preconditionIsolated()
          log.words.append("b")
        })
      #expect(log.words.sorted() == ["a", "b"])
    }
  }

  @Test(arguments: [true, false])
  func `the first error cancels the other, and is thrown when both have ended`(isFirst: Bool) async throws {
    try await onTestLoop { loop, _ in
      let log = Log()
      func fail() async throws {
        try await loop.sleep(for: .zero)
        log.words.append("failed")
        if isFirst { throw First() } else { throw Second() }
      }
      func wait() async throws {
        do { try await loop.sleep(for: .seconds(1_000)) } catch {
          log.words.append("cancelled")
          try? await Task { try await loop.sleep(for: .milliseconds(1)) }.value
          log.words.append("ended")
          throw error
        }
      }
      do {
        _ = isFirst ? try await loop.concurrently(fail, wait) : try await loop.concurrently(wait, fail)
        Issue.record("nothing was thrown")
      } catch is First { #expect(isFirst) } catch is Second { #expect(!isFirst) }
      #expect(log.words == ["failed", "cancelled", "ended"])
    }
  }

  @Test func `a cancellation is passed on to both`() async throws {
    try await withTestLoop { loop, _ in
      let cancelled = Counter()
      let begun = Event("the begin of both")
      let task = loop.task { loop in
        let wait = {
          begun.signal()
          do { try await loop.sleep(for: .seconds(1_000)) } catch {
            cancelled.add()
            throw error
          }
        }
        _ = try await loop.concurrently(wait, wait)
      }
      try await begun.wait(times: 2)
      task.cancel()
      try await expectCancelled { try await task.value }
      #expect(cancelled.value == 2)
    }
  }

  @Test func `a shutdown ends both`() async throws {
    try await withTestLoop { loop, _ in
      let begun = Event("the begin of both")
      let task = Task {
        _ = try await loop.run { loop in
          let wait = {
            begun.signal()
            try await loop.sleep(for: .seconds(1_000))
          }
          return try await loop.concurrently(wait, wait).0
        }
      }
      try await begun.wait(times: 2)
      await loop.shutdown()
      try await expectCode(.loopClosed) { try await task.value }
    }
  }
}
