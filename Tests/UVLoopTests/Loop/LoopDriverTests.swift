import CLibUV
import Testing

@testable import UVLoop

/// One iteration, seen by what runs in it. How work, timers and descriptors share the loop is in `SchedulingTests`.
@Suite(.sideBySide) struct LoopDriverTests {
  @Test func `what a callback posts runs behind the other callbacks of its poll`() async throws {
    try await onTestLoop { loop, _ in
      let (order, done) = (Shared<[String]>([]), Event("the posted closures"))
      var handles: [AsyncHandle] = []
      for number in 1...3 {
        handles.append(
          try AsyncHandle {
            order.update { $0.append("callback \(number)") }
            try? loop.post { loop in
              order.update { $0.append("post \(number)") }
              if order.value.count == 6 { done.signal() }
            }
          })
      }
      for handle in handles { handle.sender.send() }
      try await done.wait()
      #expect(order.value.prefix(3).allSatisfy { $0.hasPrefix("callback") })
      #expect(order.value.suffix(3).allSatisfy { $0.hasPrefix("post") })
      for handle in handles { handle.close() }
    }
  }

  @Test func `libuv's own stop does not end the loop`() async throws {
    try await onTestLoop { loop, _ in
      unsafe loop.withUnsafeLoop { unsafe uv_stop($0.assumingMemoryBound(to: uv_loop_t.self)) }
      try await iterate(loop)
      #expect(loop.state == .running)
    }
  }

  @Test func `with work left the loop polls, and does not wait in the poll`() async throws {
    try await onTestLoop { loop, _ in
      // More than one go takes, and no timer is there that would end a poll.
      let (left, done, polls) = (Shared(20_000), Event("the last post"), loop.metrics.polls)
      @Sendable func next() {
        left.value -= 1
        if left.value == 0 { return done.signal() }
        try? loop.post { _ in next() }
      }
      next()
      try await done.wait()
      #expect(loop.metrics.polls - polls >= 4)
    }
  }

  @Test func `without work one poll waits`() async throws {
    try await onTestLoop { loop, _ in
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(30)) }
      #expect(iterations < 10)
    }
  }
}
