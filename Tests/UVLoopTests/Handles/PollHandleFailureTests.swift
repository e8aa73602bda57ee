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
@Suite struct PollHandleFailureTests {
  typealias Outcome = Result<PollHandle.Events, UVError>

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
      try await turn(loop)
      // A peer that closes with something unread resets the connection.
      #expect(unsafe write(pair.watched, "x", 1) == 1)
      pair.closeSecond()
      let outcome = try await answer.value()
      #expect(throws: UVError.self) { try outcome.get() }
      if case .failure(let error) = outcome { #expect(error.code == .badFileDescriptor) }
      #expect(!poll.isActive)
      try await turn(loop)
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
}
