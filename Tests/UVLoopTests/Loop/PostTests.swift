import CLibUV
import Testing

@testable import UVLoop

@Suite(.alone) struct PostTests {
  #if os(Linux)
    @Test func `B-01 a post from another thread wakes a loop that sleeps without a timer`() async throws {
      try await withTestLoop { loop, calls in
        calls.expect("post")
        #expect(await eventually { loop.probe.isAsleep })
        let wakes = loop.probe.wakes
        let done = Event("the posted closure")
        let times = try await onPlainThread {
          let ran = Shared<Int64>(0)
          let start = MonotonicClock.now()
          try loop.post {
            ran.value = MonotonicClock.now()
            calls.mark("post")
            done.signal()
          }
          done.waitBlocking()
          return (start: start, ran: ran.value)
        }
        #expect(loop.probe.wakes == wakes + 1)
        #expect(times.ran - times.start < 500_000_000, "after \(times.ran - times.start) ns")
      }
    }
  #endif

  @Test func `B-02 posts made on the loop thread keep their order`() async throws {
    try await onTestLoop { loop, calls in
      for number in 0..<1_000 { try loop.post { calls.mark("\(number)") } }
      try await iterate(loop, times: 2)
      #expect(calls.log == (0..<1_000).map(String.init))
    }
  }

  @Test func `B-02 posts of one task keep their order while it hops between the loop and other threads`() async throws {
    try await withTestLoop { loop, calls in
      for number in stride(from: 0, to: 2_000, by: 4) {
        try loop.post { calls.mark("\(number)") }
        try await loop.run { loop in
          try loop.post { calls.mark("\(number + 1)") }
          try loop.post { _ in calls.mark("\(number + 2)") }
        }
        try await onAnotherThread { try loop.post { calls.mark("\(number + 3)") } }
      }
      try await loop.run { loop in try await iterate(loop, times: 2) }
      #expect(calls.log == (0..<2_000).map(String.init))
    }
  }

  @Test func `B-02 posts of one task keep their order while it moves between two loops`() async throws {
    try await withTestLoop("target") { target, calls in
      try await onTestLoop("other") { other, _ in
        for number in stride(from: 0, to: 1_000, by: 2) {
          try target.post { calls.mark("\(number)") }
          try await target.run { try $0.post { calls.mark("\(number + 1)") } }
        }
        #expect(other.isCurrent)
      }
      try await target.run { target in try await iterate(target, times: 2) }
      #expect(calls.log == (0..<1_000).map(String.init))
    }
  }

  @Test func `B-03 1 000 posts of one thread run once each, first in, first out`() async throws {
    try await withTestLoop { loop, calls in
      let done = Event("the last post")
      try await onPlainThread {
        for number in 0..<1_000 { try loop.post { calls.mark("\(number)") } }
        try loop.post { done.signal() }
      }
      try await done.wait()
      #expect(calls.log == (0..<1_000).map(String.init))
    }
  }

  @Test func `B-04 a post on the loop thread starts after the current callback has returned`() async throws {
    try await withTestLoop { loop, calls in
      let places = ["post", "timer", "schedule", "run"]
      let done = Event("a posted closure of each place")
      let nest: @Sendable (String) -> Void = { place in
        calls.mark("\(place) begins")
        try? loop.post {
          calls.mark("\(place) posted")
          done.signal()
        }
        calls.mark("\(place) ends")
      }
      try loop.post { nest("post") }
      try await loop.run { loop in
        let timer = try TimerHandle()
        try timer.start(after: .zero) { nest("timer") }
        try loop.schedule(after: .zero) { nest("schedule") }
        nest("run")
      }
      try await done.wait(times: places.count)
      for place in places {
        #expect(calls.log.filter { $0.hasPrefix(place) } == ["begins", "ends", "posted"].map { "\(place) \($0)" })
      }
    }
  }

  @Test func `B-07 a post after shutdown throws, never runs and releases what it captured`() async throws {
    let loop = try EventLoop()
    await loop.shutdown()
    let calls = Calls()
    weak var plain: Counter?
    weak var isolated: Counter?
    do {
      let first = Counter()
      let second = Counter()
      plain = first
      isolated = second
      let error = #expect(throws: UVError.self) {
        try loop.post {
          first.add()
          calls.mark("ran")
        }
      }
      #expect(error?.code == .loopClosed)
      let other = #expect(throws: UVError.self) {
        try loop.post { _ in
          second.add()
          calls.mark("ran")
        }
      }
      #expect(other?.code == .loopClosed)
    }
    #expect(plain == nil)
    #expect(isolated == nil)
    await expectThreadGone(loop.thread)
    #expect(calls.count("ran") == 0)
  }

  #if os(Linux)
    @Test func `B-08 after a burst the loop makes no iteration and uses no CPU time in a second without work`()
      async throws
    {
      try await withTestLoop { loop, calls in
        calls.expect("burst", 10_000)
        for _ in 0..<10_000 { try loop.post { calls.mark("burst") } }
        let before = await loop.run { ($0.probe.iterations, Process.ownCPUTime) }
        // The second itself is what is looked at.
        try await Task.sleep(for: .seconds(1))
        let after = await loop.run { ($0.probe.iterations, Process.ownCPUTime) }
        // At most the one iteration that ends in the poll from which the second question wakes it.
        #expect(after.0 - before.0 <= 1)
        #expect(after.1 - before.1 < 20_000_000, "\(after.1 - before.1) ns")
      }
    }
  #endif
}

/// Runs `body` on Swift's pool, on whatever thread that is.
@concurrent private func onAnotherThread(_ body: @Sendable () throws -> Void) async throws { try body() }
