import Testing

@testable import UVLoop

/// Advances of a clock that cannot be made.
@Suite(.sideBySide) struct TestClockRefusalTests {
  typealias Advance = @Sendable (isolated EventLoop) async throws -> Void

  static let advances: [(name: String, call: Advance)] = [
    ("advance", { loop in try await loop.advance(by: .seconds(1)) }),
    ("advanceToNextDeadline", { loop in try await loop.advanceToNextDeadline() }),
    ("runUntilIdle", { loop in try await loop.runUntilIdle() }),
  ]

  /// The error of an advance, which must not be made.
  private static func refusal(
    of name: String, _ code: UVError.Code, saying words: String, _ location: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
  ) async {
    let error = await #expect(throws: UVError.self, sourceLocation: location) { try await body() }
    #expect(error?.code == code, sourceLocation: location)
    #expect(error?.call == name, sourceLocation: location)
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")", sourceLocation: location)
  }

  @Test(arguments: [Duration.nanoseconds(-1), .seconds(-3_600), .seconds(Int64.min)])
  func `E-27 a negative span is refused, and nothing is disturbed`(span: Duration) async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      try await loop.advance(by: .seconds(5))
      try loop.schedule(after: .seconds(1)) { calls.mark("fired") }
      let before = loop.clock.now
      await Self.refusal(of: "advance", .invalidArgument, saying: "time never goes back") {
        try await loop.advance(by: span)
      }
      #expect(loop.clock.now == before)
      #expect(calls.log == [])
      try await loop.advance(by: .seconds(1))
      #expect(calls.log == ["fired"])
    }
  }

  @Test func `E-27 real time is not advanced, and the error names the option`() async throws {
    try await onTestLoop { loop, calls in
      for (name, advance) in Self.advances {
        await Self.refusal(of: name, .invalidArgument, saying: "EventLoop.Options(time: .manual)") {
          try await advance(loop)
        }
      }
      try await loop.sleep(for: .milliseconds(1))
    }
  }

  @Test func `E-27 off the loop an advance is refused, and the error says how to get there`() async throws {
    try await withTestLoop(time: .manual) { loop, calls in
      await Self.refusal(of: "advance", .notOnLoop, saying: "loop.run { loop in … }") {
        try await loop.advance(by: .seconds(1))
      }
      await Self.refusal(of: "advanceToNextDeadline", .notOnLoop, saying: "loop.run { loop in … }") {
        _ = try await loop.advanceToNextDeadline()
      }
      await Self.refusal(of: "runUntilIdle", .notOnLoop, saying: "loop.run { loop in … }") {
        try await loop.runUntilIdle()
      }
      #expect(loop.clock.now == EventLoop.Clock.Instant(nanoseconds: 0))
    }
  }

  @Test func `E-27 a clock is not advanced from another loop`() async throws {
    try await withTestLoop("manual", time: .manual) { manual, _ in
      try await onTestLoop("other", time: .manual) { other, _ in
        await Self.refusal(of: "advance", .notOnLoop, saying: "other") { try await manual.advance(by: .seconds(1)) }
      }
    }
  }

  @Test func `E-27 a second advance at the same time is refused, and the first one is not disturbed`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      for number in 1...3 { calls.expect("refused \(number)") }
      for (number, advance) in Self.advances.enumerated() {
        try loop.schedule(after: .seconds(number + 1)) {
          loop.task { loop in
            await Self.refusal(of: advance.name, .busy, saying: "Await the end of that before you do") {
              try await advance.call(loop)
            }
            calls.mark("refused \(number + 1)")
          }
        }
      }
      try await loop.advance(by: .seconds(4))
      #expect(calls.log == ["refused 1", "refused 2", "refused 3"])
      #expect(loop.clock.now == EventLoop.Clock.Instant(nanoseconds: 4_000_000_000))
      // And one that comes after it is not.
      try await loop.advance(by: .seconds(1))
    }
  }

  @Test(arguments: [EventLoop.Time.manual, .autojump])
  func `E-27 once shutdown has begun an advance is refused`(time: EventLoop.Time) async throws {
    try await withTestLoop(time: time) { loop, calls in
      try await loop.run { loop in
        _ = try loop.onShutdown {
          // Still on the loop's thread.
          Task.immediate {
            await Self.refusal(of: "advance", .loopClosed, saying: "shut down") { try await loop.advance(by: .zero) }
            calls.mark("refused")
          }
        }
      }
      await loop.shutdown()
      for (name, advance) in Self.advances {
        await Self.refusal(of: name, .loopClosed, saying: "shut down") { try await loop.run { try await advance($0) } }
      }
      await expectEventually { calls.log == ["refused"] }
    }
  }
}
