import Testing

@testable import UVLoop

/// A time that is advanced by hand: what an advance does.
@Suite(.sideBySide) struct TestClockTests {
  @Test func `E-25 advancing by 3 ms fires exactly the calls that are due, in order`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      for name in ["1 ms", "2 ms", "3 ms", "3 ms again"] { calls.expect(name) }
      try loop.schedule(after: .milliseconds(3)) { calls.mark("3 ms") }
      try loop.schedule(after: .milliseconds(4)) { calls.mark("4 ms") }
      try loop.schedule(after: .milliseconds(1)) { calls.mark("1 ms") }
      try loop.schedule(after: .milliseconds(3)) { calls.mark("3 ms again") }
      try loop.schedule(after: .microseconds(3_001)) { calls.mark("3.001 ms") }
      try loop.schedule(after: .milliseconds(2)) { calls.mark("2 ms") }
      let start = loop.clock.now
      try await loop.advance(by: .milliseconds(3))
      #expect(calls.log == ["1 ms", "2 ms", "3 ms", "3 ms again"])
      #expect(start.duration(to: loop.clock.now) == .milliseconds(3))
      #expect(loop.probe.timers == 2)
    }
  }

  @Test func `E-25 each call sees its own moment, and the next iteration goes on where this one ended`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let start = loop.clock.now
      var seen: [Duration] = []
      for delay in [40, 10, 20] {
        try loop.schedule(after: .milliseconds(delay)) { seen.append(start.duration(to: loop.clock.now)) }
      }
      try await loop.advance(by: .milliseconds(15))
      #expect(seen == [.milliseconds(10)])
      try await loop.advance(by: .milliseconds(25))
      #expect(seen == [.milliseconds(10), .milliseconds(20), .milliseconds(40)])
      #expect(start.duration(to: loop.clock.now) == .milliseconds(40))
    }
  }

  @Test func `E-25 time stands still until it is moved, and begins at zero`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      #expect(loop.clock.now == EventLoop.Clock.Instant(nanoseconds: 0))
      try loop.schedule(after: .nanoseconds(1)) { calls.mark("fired") }
      spin(for: .milliseconds(5))
      // Due now, these need no advance, and take passes of the loop in which the other one could fire.
      try await iterate(loop)
      #expect(loop.clock.now == EventLoop.Clock.Instant(nanoseconds: 0))
      #expect(calls.log == [])
    }
  }

  @Test func `E-25 a task that sleeps again within the span is woken within it, at its own moments`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let start = loop.clock.now
      let woken = Shared<[Duration]>([])
      let task = loop.task { loop in
        for _ in 0..<4 {
          try await loop.sleep(for: .seconds(1))
          woken.update { $0.append(start.duration(to: loop.clock.now)) }
        }
      }
      try await loop.advance(by: .milliseconds(3_500))
      #expect(woken.value == [.seconds(1), .seconds(2), .seconds(3)])
      #expect(start.duration(to: loop.clock.now) == .milliseconds(3_500))
      try await loop.advance(by: .milliseconds(500))
      #expect(woken.value.last == .seconds(4))
      try await task.value
    }
  }

  @Test func `E-25 an advance of zero fires what is due and leaves the time`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      calls.expect("due")
      try loop.schedule(after: .zero) { calls.mark("due") }
      try loop.schedule(after: .nanoseconds(1)) { calls.mark("not due") }
      let start = loop.clock.now
      try await loop.advance(by: .zero)
      #expect(calls.log == ["due"])
      #expect(loop.clock.now == start)
    }
  }

  @Test func `E-25 the largest span ends within the end of time, and what waits for ever waits on`() async throws {
    try await withTestLoop(time: .manual) { loop, calls in
      calls.expect("a century")
      let dropped = try await loop.run { loop in
        try loop.schedule(after: .seconds(Int64.max)) { calls.mark("never") }
        try loop.schedule(after: .seconds(3_155_760_000)) { calls.mark("a century") }
        try await loop.advance(by: .seconds(Int64.max))
        let end = loop.clock.now
        try await loop.advance(by: .seconds(1))
        #expect(loop.clock.now == end)
        #expect(try await loop.advanceToNextDeadline() == nil)
        try await iterate(loop)
        return await loop.shutdown().droppedCalls
      }
      #expect(dropped == 1)
      #expect(calls.log == ["a century"])
    }
  }

  @Test func `E-25 the next deadline: its calls alone, in order of submission, then nil`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      for name in ["2 s", "1 s", "1 s again", "of the first"] { calls.expect(name) }
      let start = loop.clock.now
      try loop.schedule(after: .seconds(2)) { calls.mark("2 s") }
      try loop.schedule(after: .seconds(1)) {
        calls.mark("1 s")
        _ = try? loop.schedule(after: .seconds(2)) { calls.mark("of the first") }
      }
      try loop.schedule(after: .seconds(1)) { calls.mark("1 s again") }
      #expect(try await loop.advanceToNextDeadline() == start.advanced(by: .seconds(1)))
      #expect(calls.log == ["1 s", "1 s again"])
      #expect(loop.clock.now == start.advanced(by: .seconds(1)))
      #expect(try await loop.advanceToNextDeadline() == start.advanced(by: .seconds(2)))
      #expect(calls.log.last == "2 s")
      #expect(try await loop.advanceToNextDeadline() == start.advanced(by: .seconds(3)))
      #expect(calls.log.last == "of the first")
      #expect(try await loop.advanceToNextDeadline() == nil)
      #expect(loop.clock.now == start.advanced(by: .seconds(3)))
    }
  }

  @Test func `E-25 of a time that is advanced at random, read elsewhere, none is before the last`() async throws {
    try await withTestLoop(time: .manual) { loop, calls in
      let (isEnding, clock) = (Shared(false), loop.clock)
      let reader = PlainThread {
        var last = clock.now
        while !isEnding.value {
          let now = clock.now
          if now < last { calls.mark("back in time") }
          last = now
        }
      }
      try await loop.run { loop in
        for _ in 0..<200 {
          try loop.schedule(after: .nanoseconds(Int.random(in: 0...1_000))) {}
          let before = loop.clock.now
          let span = Duration.nanoseconds(Int.random(in: 0...500))
          try await loop.advance(by: span)
          #expect(before.duration(to: loop.clock.now) == span)
        }
      }
      isEnding.value = true
      try await reader.join()
      #expect(calls.log == [])
    }
  }
}
