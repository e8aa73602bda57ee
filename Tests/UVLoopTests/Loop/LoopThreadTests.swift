import Testing

@testable import UVLoop

/// Which thread is a loop's. No thread is started: the calling one is marked.
@Suite(.sideBySide) struct LoopThreadTests {
  @Test func `a thread is the loop's from its mark on, and no other loop's`() async throws {
    try await onPlainThread {
      let (one, other) = (LoopThread(), LoopThread())
      #expect(!one.isCurrent && !one.isIsolating)
      one.mark(current: true, isolating: true)
      #expect(one.isCurrent && one.isIsolating && !other.isCurrent && !other.isIsolating)
      one.mark(current: false, isolating: true)
      #expect(!one.isCurrent && one.isIsolating, "it lingers")
      other.mark(current: true, isolating: true)
      #expect(other.isCurrent && !one.isIsolating)
      other.mark(current: false, isolating: false)
      #expect(!other.isCurrent && !other.isIsolating)
    }
  }

  @Test func `another thread may be in a loop's isolation for a while, inside that of another loop`() async throws {
    try await onPlainThread {
      let (outer, inner) = (LoopThread(), LoopThread())
      outer.mark(current: false, isolating: true)
      let answer = inner.isolating { inner.isIsolating && !inner.isCurrent && !outer.isIsolating }
      #expect(answer && outer.isIsolating && !inner.isIsolating)
      outer.mark(current: false, isolating: false)
    }
  }

  @Test func `a mark counts for its thread alone`() async throws {
    try await onPlainThread {
      let thread = LoopThread()
      thread.mark(current: true, isolating: true)
      let (isElsewhere, hasAsked) = (Shared(true), Event("another thread's answer"))
      _ = PlainThread {
        isElsewhere.value = thread.isCurrent || thread.isIsolating
        hasAsked.signal()
      }
      hasAsked.waitBlocking()
      #expect(!isElsewhere.value && thread.isCurrent)
      thread.mark(current: false, isolating: false)
    }
  }
}
