import Testing

@testable import UVLoop

@Suite struct ThreadIdentityTests {
  @Test func `A-04 inside a callback the loop's thread is the current one and not its creator's`() async throws {
    let creator = ThreadIdentity.current
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      #expect(loop.thread == .current)
      #expect(loop.thread != creator)
      try loop.post { calls.mark("callback") }
    }
  }
}
