import CLibUV
import Testing

@testable import UVLoop

/// A time that is advanced by hand: what must have run before it goes on.
@Suite(.alone) struct TestClockReadyTests {
  @Test func `E-25 what a call makes ready runs before the next deadline: posts, jobs and calls without a delay`()
    async throws
  {
    try await onTestLoop(time: .manual) { loop, calls in
      let names = ["first", "post", "post of the post", "no delay", "task", "second"]
      for name in names { calls.expect(name) }
      try loop.schedule(after: .milliseconds(1)) {
        calls.mark("first")
        _ = try? loop.schedule(after: .zero) {
          calls.mark("no delay")
          loop.task { _ in calls.mark("task") }
        }
        try? loop.post {
          calls.mark("post")
          try? loop.post { calls.mark("post of the post") }
        }
      }
      try loop.schedule(after: .microseconds(1_001)) { calls.mark("second") }
      try await loop.advance(by: .seconds(1))
      #expect(calls.log.first == "first" && calls.log.last == "second")
      #expect(calls.log.sorted() == names.sorted())
    }
  }

  @Test func `E-25 a descriptor that has become ready is seen before time goes on`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      for name in ["fed", "readable", "later"] { calls.expect(name) }
      let sockets = SocketPair()
      let poll = try PollHandle(descriptor: sockets.watched)
      try loop.schedule(after: .milliseconds(1)) {
        calls.mark("fed")
        // Started here, it is handed to the kernel in the poll that follows.
        try? poll.start(for: .readable) { _ in
          calls.mark("readable")
          sockets.drain()
        }
        sockets.feed()
      }
      try loop.schedule(after: .milliseconds(2)) { calls.mark("later") }
      try await loop.advance(by: .milliseconds(2))
      #expect(calls.log == ["fed", "readable", "later"])
      poll.close()
    }
  }

  @Test func `E-25 a chain of callbacks over descriptors ends before time goes on`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      let pairs = (0..<5).map { _ in SocketPair() }
      var polls: [PollHandle] = []
      for (index, pair) in pairs.enumerated() {
        calls.expect("link \(index)")
        let poll = try PollHandle(descriptor: pair.watched)
        polls.append(poll)
        // No job and no call between one link and the next: only the kernel knows of it.
        try poll.start(for: .readable) { _ in
          calls.mark("link \(index)")
          pairs[index].drain()
          if index + 1 < pairs.count { pairs[index + 1].feed() }
        }
      }
      try loop.schedule(after: .milliseconds(1)) { pairs[0].feed() }
      try loop.schedule(after: .milliseconds(2)) { calls.mark("later") }
      try await loop.advance(by: .milliseconds(2))
      #expect(calls.log == (0..<5).map { "link \($0)" } + ["later"])
      for poll in polls { poll.close() }
    }
  }

  @Test func `E-25 a descriptor that a callback begins to watch does not hold the time up`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      for name in ["readable", "later"] { calls.expect(name) }
      let (first, second) = (SocketPair(), SocketPair())
      let poll = try PollHandle(descriptor: first.watched)
      let silent = try PollHandle(descriptor: second.watched)
      try poll.start(for: .readable) { _ in
        first.drain()
        calls.mark("readable")
        // No job follows, and nothing ever comes.
        try? silent.start(for: .readable) { _ in calls.mark("silent") }
      }
      try loop.schedule(after: .milliseconds(1)) { first.feed() }
      try loop.schedule(after: .milliseconds(2)) { calls.mark("later") }
      try await loop.advance(by: .milliseconds(2))
      #expect(calls.log == ["readable", "later"])
      poll.close()
      silent.close()
    }
  }

  @Test func `E-25 what C code does between two iterations of the loop is done before time goes on`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      for name in ["begun", "done", "later"] { calls.expect(name) }
      let neighbour = BusyNeighbour(passes: 100) { calls.mark("done") }
      try loop.schedule(after: .milliseconds(1)) {
        calls.mark("begun")
        unsafe loop.withUnsafeLoop { unsafe neighbour.begin(on: $0) }
      }
      try loop.schedule(after: .milliseconds(2)) { calls.mark("later") }
      try await loop.advance(by: .milliseconds(2))
      #expect(calls.log == ["begun", "done", "later"])
    }
  }

  @Test func `E-25 an advance waits for an offloaded call, and for what its caller does then`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      for name in ["back", "later"] { calls.expect(name) }
      let sleeper = loop.task { loop in
        try await loop.sleep(for: .seconds(1))
        try await loop.offload { spin(for: .milliseconds(5)) }
        calls.mark("back")
        try await loop.sleep(for: .seconds(1))
        return loop.clock.now
      }
      try loop.schedule(after: .milliseconds(1_500)) { calls.mark("later") }
      try await loop.advance(by: .seconds(2))
      #expect(calls.log == ["back", "later"])
      #expect(try await sleeper.value == EventLoop.Clock.Instant(nanoseconds: 2_000_000_000))
    }
  }

  @Test func `E-25 an advance does not wait for a call that its caller has abandoned`() async throws {
    try await withTestLoop(time: .manual) { loop, calls in
      let (begun, go, ended) = (Event("the begin of a call"), Event("its release"), Event("its end"))
      try await loop.run { loop in
        let task = loop.task { loop in
          try await loop.offload(onCancel: .abandon) {
            begun.signal()
            go.waitBlocking()
            ended.signal()
          }
        }
        try await begun.wait()
        task.cancel()
        try await loop.advance(by: .seconds(1))
        try await expectCancelled { try await task.value }
        #expect(!ended.hasHappened)
      }
      go.signal()
      try await ended.wait()
      await expectEventually { await loop.run { $0.probe.requests.isEmpty } }
    }
  }

  @Test func `E-25 runUntilIdle runs what is ready, offloaded calls too, and leaves the time`() async throws {
    try await onTestLoop(time: .manual) { loop, calls in
      for name in ["task", "offloaded", "posted"] { calls.expect(name) }
      loop.task { loop in
        calls.mark("task")
        try await loop.sleep(for: .zero)
        try await loop.offload { calls.mark("offloaded") }
        try loop.post { calls.mark("posted") }
        try await loop.sleep(for: .nanoseconds(1))
        calls.mark("a nanosecond later")
      }
      let start = loop.clock.now
      try await loop.runUntilIdle()
      #expect(calls.log == ["task", "offloaded", "posted"])
      #expect(loop.clock.now == start)
      #expect(loop.probe.timers == 1)
    }
  }
}

/// What a C library does that has much to do and lets others come in between: an idle handle that goes away when it is
/// done.
@safe private final class BusyNeighbour: @unchecked Sendable {  // Holds because it is used on the loop alone.
  private let idle = UnsafeMutablePointer<uv_idle_t>.allocate(capacity: 1)
  private var passes: Int
  private let whenDone: () -> Void

  init(passes: Int, whenDone: @escaping () -> Void) {
    self.passes = passes
    self.whenDone = whenDone
  }

  func begin(on loop: UnsafeMutableRawPointer) {
    unsafe uv_idle_init(loop.assumingMemoryBound(to: uv_loop_t.self), idle)
    unsafe idle.pointee.data = unsafe Unmanaged.passRetained(self).toOpaque()
    unsafe uv_idle_start(idle) { idle in
      if let this = unsafe idle?.pointee.data {
        unsafe Unmanaged<BusyNeighbour>.fromOpaque(this).takeUnretainedValue().step()
      }
    }
  }

  private func step() {
    passes -= 1
    if passes > 0 { return }
    whenDone()
    unsafe uv_close(UnsafeMutableRawPointer(idle).assumingMemoryBound(to: uv_handle_t.self)) { idle in
      if let this = unsafe idle?.pointee.data { unsafe Unmanaged<BusyNeighbour>.fromOpaque(this).release() }
      unsafe UnsafeMutableRawPointer(idle)?.deallocate()
    }
  }
}
