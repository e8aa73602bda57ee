import Testing

@testable import UVLoop

@Suite(.sideBySide) struct RunTests {
  @Test @MainActor func `B-09 run from the main actor runs on the loop and comes back to the main actor`() async throws
  {
    try await withTestLoop { loop, _ in
      let seen = await loop.run { _ in ThreadIdentity.current }
      #expect(seen == loop.thread)
      MainActor.preconditionIsolated()
      #expect(!loop.isCurrent)
      let later = try await loop.run { loop in
        try await loop.sleep(for: .zero)
        return ThreadIdentity.current
      }
      #expect(later == loop.thread)
      MainActor.preconditionIsolated()
      #expect(!loop.isCurrent)
    }
  }

  @Test func `B-09 run from an actor runs on the loop and comes back to the actor`() async throws {
    try await withTestLoop { loop, _ in
      let stranger = Stranger()
      let seen = try await stranger.ask(loop)
      #expect(seen == [loop.thread, loop.thread])
    }
  }

  @Test func `B-09 run from another loop runs on the loop and comes back to the other one`() async throws {
    try await withTestLoop("asked") { asked, _ in
      try await onTestLoop("asking") { asking, _ in
        let seen = await asked.run { loop in (loop.isCurrent, ThreadIdentity.current) }
        #expect(seen == (true, asked.thread))
        #expect(asking.isCurrent && ThreadIdentity.current == asking.thread)
        let later = try await asked.run { loop in
          try await loop.sleep(for: .zero)
          return loop.isCurrent
        }
        #expect(later)
        #expect(asking.isCurrent && ThreadIdentity.current == asking.thread)
      }
    }
  }

  @Test func `B-10 run on the loop itself causes no wake`() async throws {
    try await onTestLoop { loop, _ in
      var sum = 0
      let wakes = await loop.probe.wakes {
        for number in 1...1_000 { sum += await loop.run { _ in number } }
      }
      #expect(wakes == 0)
      #expect(sum == 500_500)
    }
  }

  @Test func `B-10 run on the loop itself is a plain call, also after a wait`() async throws {
    try await onTestLoop { loop, calls in
      try await loop.sleep(for: .milliseconds(1))
      calls.expect("post")
      try loop.post { calls.mark("post") }
      // A hop would let the loop run what was posted before.
      for _ in 1...1_000 { await loop.run { _ in calls.mark("run") } }
      #expect(calls.count("run") == 1_000)
      #expect(calls.count("post") == 0)
    }
  }

  @Test func `B-11 run hands out a result that is not Sendable`() async throws {
    try await withTestLoop { loop, _ in
      let box = await loop.run { _ in Box(1) }
      box.number += 1
      #expect(box.number == 2)
      let other = try await loop.run { loop in
        let box = Box(1)
        try await loop.sleep(for: .zero)
        return box
      }
      other.number += 2
      #expect(other.number == 3)
    }
  }

  @Test func `B-11 run keeps the typed error of its body`() async throws {
    try await withTestLoop { loop, _ in
      do throws(Full) {
        try await loop.run { _ throws(Full) in throw Full(level: 7) }
        Issue.record("the error is lost")
      } catch {
        #expect(error.level == 7)
      }
      do throws(Full) {
        try await loop.run { loop async throws(Full) in
          await Task.yield()
          throw Full(level: 8)
        }
        Issue.record("the error is lost")
      } catch {
        #expect(error.level == 8)
      }
    }
  }

  @Test func `B-12 after each await of an async body the code is on the loop`() async throws {
    try await withTestLoop { loop, _ in
      try await withTestLoop("other") { other, _ in
        let meter = Meter(on: loop)
        let strays = try await loop.run { loop in
          var strays: [String] = []
          func look(_ place: String) {
            if ThreadIdentity.current != loop.thread || !loop.isCurrent { strays.append(place) }
          }
          look("the beginning")
          try await loop.sleep(for: .milliseconds(1))
          look("a sleep")
          await Task.yield()
          look("a yield")
          _ = try await loop.offload { 1 }
          look("an offload")
          await meter.beat()
          look("an actor of the loop")
          _ = await other.run { $0.isCurrent }
          look("another loop")
          await Task.detached {}.value
          look("a detached task")
          try await Task.sleep(for: .milliseconds(1))
          look("a sleep of Swift's own")
          await MainActor.run {}
          look("the main actor")
          async let child = loop.isCurrent
          _ = await child
          look("a child task")
          return strays
        }
        #expect(strays == [])
      }
    }
  }

  @Test func `B-12 waits that the loop itself ends cause no wake`() async throws {
    try await onTestLoop { loop, _ in
      let meter = Meter(on: loop)
      let wakes = try await loop.probe.wakes {
        try await loop.sleep(for: .zero)
        try await loop.sleep(for: .milliseconds(2))
        let answer = try Promise<Int>()
        try loop.schedule(after: .milliseconds(1)) { answer.resume(returning: 1) }
        _ = try await answer.value()
        var count = 0
        for try await _ in try loop.ticks(every: .milliseconds(1)) {
          count += 1
          if count == 3 { break }
        }
        try await loop.withTimeout(.seconds(60)) { try await loop.sleep(for: .milliseconds(1)) }
        await meter.beat()
        await Task.yield()
        async let first: Void = loop.sleep(for: .milliseconds(1))
        async let second: Void = loop.sleep(for: .milliseconds(1))
        _ = try await (first, second)
      }
      #expect(wakes == 0)
    }
  }

  @Test func `H-09 an error of a task is kept for its value and the loop goes on`() async throws {
    try await withTestLoop { loop, _ in
      let task = loop.task { _ in throw Full(level: 9) }
      // The task ends first, and only then is anybody interested.
      #expect(await eventually { loop.probe.awaitedTasks == 0 })
      #expect(await loop.run { $0.isCurrent })
      let error = await #expect(throws: Full.self) { try await task.value }
      #expect(error?.level == 9)
      #expect(await loop.task { loop in loop.isCurrent }.value)
    }
  }
}

private final class Box {
  var number: Int
  init(_ number: Int) { self.number = number }
}

private struct Full: Error {
  let level: Int
}

private actor Stranger {
  /// The threads on which the bodies ran; stops the process if it does not come back here in between.
  func ask(_ loop: EventLoop) async throws -> [ThreadIdentity] {
    let first = await loop.run { _ in ThreadIdentity.current }
    preconditionIsolated()
    precondition(!loop.isCurrent)
    let second = try await loop.run { loop in
      try await loop.sleep(for: .zero)
      return ThreadIdentity.current
    }
    preconditionIsolated()
    precondition(!loop.isCurrent)
    return [first, second]
  }
}

private actor Meter: LoopActor {
  nonisolated let loop: EventLoop
  private var beats = 0

  init(on loop: EventLoop) { self.loop = loop }

  func beat() { beats += 1 }
}
