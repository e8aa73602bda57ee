import CLibUV
import Testing

@testable import UVLoop

/// One iteration, seen by what runs in it. How work, timers and descriptors share the loop is in `SchedulingTests`.
@Suite(.sideBySide) struct LoopDriverTests {
  @Test func `what a callback posts runs before the next poll, behind the other callbacks of this one`() async throws {
    try await onTestLoop { loop, _ in
      let (order, done) = (Shared<[String]>([]), Event("the posted closures"))
      let polls = Shared<Set<Int>>([])
      var handles: [AsyncHandle] = []
      for number in 1...3 {
        handles.append(
          try AsyncHandle {
            order.update { $0.append("callback \(number)") }
            _ = polls.update { $0.insert(loop.metrics.polls) }
            try? loop.post { loop in
              order.update { $0.append("post \(number)") }
              _ = polls.update { $0.insert(loop.metrics.polls) }
              if order.value.count == 6 { done.signal() }
            }
          })
      }
      for handle in handles { handle.sender.send() }
      try await done.wait()
      #expect(order.value.prefix(3).allSatisfy { $0.hasPrefix("callback") })
      #expect(order.value.suffix(3).allSatisfy { $0.hasPrefix("post") })
      #expect(polls.value.count == 1)
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

  @Test func `with work left the poll does not wait, and without it one poll waits`() async throws {
    try await onTestLoop { loop, _ in
      let left = Shared(100)
      @Sendable func next() {
        left.value -= 1
        if left.value > 0 { try? loop.post { _ in next() } }
      }
      next()
      try await iterate(loop)
      #expect(left.value == 0)
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(30)) }
      #expect(iterations < 10)
    }
  }
}
