import Testing

@testable import UVLoop

@Suite(.alone) struct ScheduledCallTests {
  @Test func `E-01 a call after 50 ms fires once, not before 50 ms and not long after`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let fired = try Promise<EventLoop.Clock.Instant>()
      let start = loop.clock.now
      try loop.schedule(after: .milliseconds(50)) {
        calls.mark("fired")
        fired.resume(returning: loop.clock.now)
      }
      let wait = start.duration(to: try await fired.value())
      #expect(wait >= .milliseconds(50))
      #expect(wait < .seconds(1))
      try await loop.sleep(for: .milliseconds(60))
    }
  }

  @Test func `E-01 a call at a moment fires then`() async throws {
    try await onTestLoop { loop, calls in
      let fired = try Promise<EventLoop.Clock.Instant>()
      let moment = loop.clock.now.advanced(by: .microseconds(20_500))
      let call = try loop.schedule(at: moment) { fired.resume(returning: loop.clock.now) }
      #expect(call.deadline == moment)
      #expect(try await fired.value() >= moment)
    }
  }

  @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(-3_600), .seconds(Int64.min)])
  func `E-05 a delay of zero or less runs once, soon, and not inline`(delay: Duration) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let fired = try Promise<EventLoop.Clock.Instant>()
      let start = loop.clock.now
      let call = try loop.schedule(after: delay) {
        calls.mark("fired")
        fired.resume(returning: loop.clock.now)
      }
      #expect(call.isPending)
      #expect(calls.count("fired") == 0)
      #expect(start.duration(to: try await fired.value()) < .milliseconds(500))
      try await iterate(loop)
    }
  }

  @Test func `E-05 a moment in the past runs once, soon, and not inline`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let fired = try Promise<Void>()
      try loop.schedule(at: loop.clock.now.advanced(by: .seconds(-1))) {
        calls.mark("fired")
        fired.resume(returning: ())
      }
      #expect(calls.count("fired") == 0)
      try await fired.value()
      try await iterate(loop)
    }
  }

  @Test func `E-05 a call at the earliest moment of all is described while it waits, and reported when it is slow`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      let loop = try EventLoop(.init(name: "kitchen"))
      let reports = Shared<[SlowCall]>([])
      try loop.reportSlowCalls(over: .milliseconds(1)) { slow in reports.update { $0.append(slow) } }
      try await loop.run { loop in
        let fired = try Promise<Void>()
        let call = try loop.schedule(at: .init(nanoseconds: .min)) {
          spin(for: .milliseconds(5))
          fired.resume(returning: ())
        }
        #expect(call.description.contains("pending, due in -"))
        try await fired.value()
      }
      await loop.shutdown()
      let report = try #require(reports.value.first { $0.kind == .scheduledCall })
      #expect(report.waited > .seconds(1_000_000))
    }
  }

  @Test func `E-05 an endless delay is as good as never`() async throws {
    try await withTestLoop { loop, calls in
      let report = try await loop.run { loop in
        try loop.schedule(after: .seconds(Int64.max)) { calls.mark("fired") }
        try loop.schedule(at: loop.clock.now.advanced(by: .seconds(Int64.max))) { calls.mark("fired") }
        try await loop.sleep(for: .milliseconds(20))
        return await loop.shutdown()
      }
      #expect(report.droppedCalls == 2)
      #expect(calls.count("fired") == 0)
    }
  }

  @Test func `E-06 a zero delay that re-arms itself lets a 1 ms timer and a post through`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("timer")
      calls.expect("post")
      try loop.schedule(after: .milliseconds(1)) { calls.mark("timer") }
      let chain = try Chain(loop)
      try chain.link()
      try loop.post { calls.mark("post") }
      let limit = loop.clock.now.advanced(by: .seconds(20))
      try await chain.run { $0 >= 1_000 && calls.log.count == 2 || loop.clock.now > limit }
      #expect(chain.rounds >= 1_000)
      #expect(calls.log.sorted() == ["post", "timer"])
    }
  }

  /// A call that schedules itself again with zero delay.
  private final class Chain {
    private let loop: EventLoop
    private let end: Promise<Void>
    private var isOver: (Int) -> Bool = { _ in false }
    private(set) var rounds = 0

    init(_ loop: isolated EventLoop) throws {
      self.loop = loop
      end = try Promise()
    }

    func link(isolation: isolated any LoopActor = #isolation) throws(UVError) {
      try loop.schedule(after: .zero) {
        _ = isolation
        self.rounds += 1
        if self.isOver(self.rounds) {
          self.end.resume(returning: ())
        } else {
          do { try self.link() } catch { self.end.resume(throwing: error) }
        }
      }
    }

    func run(isolation: isolated any Actor = #isolation, until isOver: @escaping (Int) -> Bool) async throws {
      self.isOver = isOver
      try await end.value()
    }
  }

  @Test func `E-07 101 calls with equal deadlines fire in the order of submission`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let moment = loop.clock.now.advanced(by: .milliseconds(20))
      var order: [Int] = []
      for index in 0...100 { try loop.schedule(at: moment) { order.append(index) } }
      #expect(try await loop.advanceToNextDeadline() == moment)
      #expect(order == Array(0...100))
    }
  }

  @Test func `E-08 the deadline is the same before the call fires and after it`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      calls.expect("fired")
      let deadline = loop.clock.now.advanced(by: .milliseconds(10))
      let call = try loop.schedule(after: .milliseconds(10)) { calls.mark("fired") }
      #expect(call.deadline == deadline)
      try await loop.advance(by: .milliseconds(15))
      #expect(!call.isPending)
      #expect(call.deadline == deadline)
    }
  }

  @Test func `E-08 the deadline is the same after a cancel`() async throws {
    try await onTestLoop { loop, calls in
      let call = try loop.schedule(after: .seconds(60)) { calls.mark("fired") }
      let deadline = call.deadline
      call.cancel()
      #expect(!call.isPending)
      #expect(call.deadline == deadline)
      #expect(calls.count("fired") == 0)
    }
  }

  @Test func `E-09 a cancel after firing, and one in the call's own body, has no effect`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      calls.expect("fired")
      calls.expect("other")
      var call: ScheduledCall?
      call = try loop.schedule(after: .milliseconds(1)) {
        call?.cancel()
        calls.mark("fired")
      }
      try loop.schedule(after: .milliseconds(5)) { calls.mark("other") }
      try await loop.advance(by: .milliseconds(5))
      call?.cancel()
      call?.cancel()
      #expect(call?.description.contains("fired") == true)
      call = nil
    }
  }

  @Test func `E-09 a second cancel has no effect`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      calls.expect("other")
      let call = try loop.schedule(after: .milliseconds(1)) { calls.mark("fired") }
      call.cancel()
      // It gets the place in the heap that the first one left.
      try loop.schedule(after: .milliseconds(1)) { calls.mark("other") }
      call.cancel()
      try await loop.advance(by: .seconds(1))
      #expect(calls.log == ["other"])
    }
  }
}
