import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the callback hears when the descriptor fails.
@Suite(.alone) struct PollHandleFailureTests {
  typealias Outcome = Result<PollHandle.Events, UVError>

  @Test func `M-15 a wait on a socket whose other end is gone gives readable, and a failure is thrown`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      pair.closeSecond()
      #expect(try await poll.wait(for: .readable).contains(.readable))
      pair.closeFirst()
      poll.stop()
      try await expectCode(.badFileDescriptor) { try await poll.wait(for: .readable) }
      poll.close()
    }
  }

  @Test func `M-12 a connection that is reset reaches the callback as one failure, and the poll is stopped`()
    async throws
  {
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      let answer = try Promise<Outcome>()
      try poll.start(for: .readable) { result in
        calls.mark("callback")
        answer.resume(returning: result)
      }
      try await iterate(loop)
      // A peer that closes with something unread resets the connection.
      #expect(unsafe write(pair.watched, "x", 1) == 1)
      pair.closeSecond()
      let outcome = try await answer.value()
      #expect(throws: UVError.self) { try outcome.get() }
      if case .failure(let error) = outcome { #expect(error.code == .badFileDescriptor) }
      #expect(!poll.isActive)
      try await iterate(loop)
      poll.close()
    }
  }

  @Test func `M-12 start on a descriptor that was closed behind the handle throws EBADF`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        let pair = SocketPair()
        let poll = try PollHandle(descriptor: pair.watched)
        pair.closeFirst()
        try expectCode(.badFileDescriptor) { try poll.start(for: .readable) { _ in } }
        #expect(!poll.isActive)
        poll.close()
      }
    }
  }

  @Test func `M-12 a descriptor that is closed before libuv first polls it reaches the callback as a failure`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("callback")
        let pair = SocketPair()
        let poll = try PollHandle(descriptor: pair.watched)
        let answer = try Promise<PollHandleFailureTests.Outcome>()
        try poll.start(for: .readable) { result in
          calls.mark("callback")
          answer.resume(returning: result)
        }
        pair.closeFirst()
        let outcome = try await answer.value()
        if case .failure(let error) = outcome {
          #expect(error.code == .badFileDescriptor)
          #expect(error.message.contains("closed behind the handle"))
        } else {
          Issue.record("a closed descriptor was said to be ready")
        }
        #expect(!poll.isActive)
        poll.close()
      }
    }
  }

  @Test func `M-12 a descriptor that becomes a file behind the handle reaches the callback as a failure`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("callback")
        let pair = SocketPair()
        let file = try #require(TemporaryFile())
        let poll = try PollHandle(descriptor: pair.watched)
        #expect(dup2(file.descriptor, pair.watched) == pair.watched)
        let answer = try Promise<PollHandleFailureTests.Outcome>()
        try poll.start(for: .readable) { result in
          calls.mark("callback")
          answer.resume(returning: result)
        }
        let outcome = try await answer.value()
        if case .failure(let error) = outcome {
          #expect(error.code == .notPermitted)
        } else {
          Issue.record("a file was said to be ready")
        }
        #expect(!poll.isActive)
        poll.close()
      }
    }
  }

  @Test func `M-12 a failure callback may start a handle and close the descriptor behind it`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("first")
        calls.expect("second")
        let (one, other) = (SocketPair(), SocketPair())
        let first = try PollHandle(descriptor: one.watched)
        let second = try PollHandle(descriptor: other.watched)
        let answer = try Promise<PollHandleFailureTests.Outcome>()
        try first.start(for: .readable) { _ in
          calls.mark("first")
          do throws(UVError) {
            try second.start(for: .readable) { result in
              calls.mark("second")
              answer.resume(returning: result)
            }
          } catch { Issue.record(error) }
          other.closeFirst()
        }
        one.closeFirst()
        let outcome = try await answer.value()
        if case .failure(let error) = outcome {
          #expect(error.code == .badFileDescriptor)
        } else {
          Issue.record("a closed descriptor was said to be ready")
        }
        first.close()
        second.close()
      }
    }
  }

  @Test
  func `M-12 a failure callback may close the descriptor of a handle that was started before in the same iteration`()
    async throws
  {
    await #expect(processExitsWith: .success) { try await PollHandleFailureTests.closeAnother(isEarlier: true) }
  }

  @Test
  func `M-12 a failure callback may close the descriptor of a handle that was started later in the same iteration`()
    async throws
  {
    await #expect(processExitsWith: .success) { try await PollHandleFailureTests.closeAnother(isEarlier: false) }
  }

  private static func closeAnother(isEarlier: Bool) async throws {
    try await onTestLoop { loop, calls in
      calls.expect("first")
      let (one, other) = (SocketPair(), SocketPair())
      let first = try PollHandle(descriptor: one.watched)
      let second = try PollHandle(descriptor: other.watched)
      let told = try Promise<Void>()
      let startSecond = { () throws(UVError) in
        // The kernel says nothing of a descriptor that is closed while it waits for it.
        try second.start(for: .readable) { _ in }
      }
      if isEarlier { try startSecond() }
      try first.start(for: .readable) { _ in
        calls.mark("first")
        other.closeFirst()
        told.resume(returning: ())
      }
      if !isEarlier { try startSecond() }
      one.closeFirst()
      try await told.value()
      try await iterate(loop)
      first.close()
      second.close()
    }
  }

  @Test func `M-12 a failure callback that starts its handle again on the same file hears a second failure`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("callback", 2)
        let pair = SocketPair()
        let file = try #require(TemporaryFile())
        let poll = try PollHandle(descriptor: pair.watched)
        #expect(dup2(file.descriptor, pair.watched) == pair.watched)
        let answer = try Promise<PollHandleFailureTests.Outcome>()
        try poll.start(for: .readable) { _ in
          calls.mark("callback")
          do throws(UVError) {
            try poll.start(for: .readable) { result in
              calls.mark("callback")
              answer.resume(returning: result)
            }
          } catch { Issue.record(error) }
        }
        let outcome = try await answer.value()
        if case .failure(let error) = outcome {
          #expect(error.code == .notPermitted)
        } else {
          Issue.record("a file was said to be ready")
        }
        #expect(!poll.isActive)
        poll.close()
      }
    }
  }

  @Test func `M-12 a failed handle that is stopped before it is told is not told`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("first")
        calls.expect("second", 0)
        let (one, other) = (SocketPair(), SocketPair())
        let first = try PollHandle(descriptor: one.watched)
        let second = try PollHandle(descriptor: other.watched)
        let told = try Promise<Void>()
        try first.start(for: .readable) { _ in
          calls.mark("first")
          second.stop()
          told.resume(returning: ())
        }
        try second.start(for: .readable) { _ in calls.mark("second") }
        one.closeFirst()
        other.closeFirst()
        try await told.value()
        try await iterate(loop)
        #expect(!second.isActive)
        first.close()
        second.close()
      }
    }
  }
}
