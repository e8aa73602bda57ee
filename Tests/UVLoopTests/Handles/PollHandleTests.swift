import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.sideBySide) struct PollHandleTests {
  /// Waits for what the poll says first about these events.
  private static func first(
    _ poll: PollHandle, for events: PollHandle.Events, on loop: isolated EventLoop
  ) async throws -> PollHandle.Events {
    let answer = try Promise<PollHandle.Events>()
    try poll.start(for: events) { answer.resume(with: $0.mapError { $0 }) }
    return try await answer.value()
  }

  @Test func `M-01 a poll says readable after the peer wrote`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      let answer = try Promise<PollHandle.Events>()
      try poll.start(for: .readable) { result in
        calls.mark("callback")
        pair.drain()
        answer.resume(with: result.mapError { $0 })
      }
      try await iterate(loop)
      #expect(calls.count("callback") == 0)
      pair.feed()
      #expect(try await answer.value() == .readable)
      poll.close()
    }
  }

  @Test func `M-01 a poll says writable when there is room, and not before`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      #expect(try await Self.first(poll, for: .writable, on: loop) == .writable)
      poll.stop()
      pair.fill()
      let answer = try Promise<PollHandle.Events>()
      try poll.start(for: [.readable, .writable]) { result in
        calls.mark("callback")
        answer.resume(with: result.mapError { $0 })
      }
      try await iterate(loop)
      #expect(calls.count("callback") == 0)
      pair.drainPeer()
      #expect(try await answer.value() == .writable)
      poll.close()
    }
  }

  @Test func `M-01 a poll says disconnect when the peer closed`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      pair.closeSecond()
      #expect(try await Self.first(poll, for: .disconnect, on: loop).contains(.disconnect))
      let both = try await Self.first(poll, for: [.readable, .disconnect], on: loop)
      #expect(both == [.readable, .disconnect])
      poll.close()
    }
  }

  @Test func `M-01 a poll says so once an iteration for as long as it holds`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      let enough = try Promise<Void>()
      pair.feed()
      try poll.start(for: .readable) { _ in
        calls.mark("callback")
        if calls.count("callback") == 5 {
          poll.stop()
          enough.resume(returning: ())
        }
      }
      try await enough.value()
      #expect(calls.count("callback") == 5)
      poll.close()
    }
  }

  @Test func `M-02 start with other events replaces them and the callback`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      let gone = Counter()
      do {
        let witness = Witness(gone)
        try poll.start(for: .readable) { _ in
          witness.hold()
          calls.mark("readable")
        }
      }
      pair.feed()
      #expect(try await Self.first(poll, for: .writable, on: loop) == .writable)
      try await iterate(loop)
      #expect(calls.count("readable") == 0)
      #expect(gone.value == 1)
      poll.close()
    }
  }

  @Test func `M-02 after stop no callback comes though the descriptor is ready, and start begins anew`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      pair.feed()
      try poll.start(for: .readable) { _ in calls.mark("callback") }
      poll.stop()
      poll.stop()
      #expect(!poll.isActive)
      try await iterate(loop, times: 10)
      #expect(calls.count("callback") == 0)
      #expect(try await Self.first(poll, for: .readable, on: loop) == .readable)
      poll.close()
    }
  }

  @Test func `M-02 no events, and unknown ones, are refused`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      try expectCode(.invalidArgument) { try poll.start(for: []) { _ in } }
      try expectCode(.invalidArgument) { try poll.start(for: .init(rawValue: 4_096)) { _ in } }
      #expect(!poll.isActive)
      poll.close()
    }
  }

  @Test func `M-03 close leaves the descriptor open, and it can be watched anew on the same loop at once`() async throws
  {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let first = try PollHandle(descriptor: pair.watched)
      try first.start(for: .readable) { _ in calls.mark("first") }
      try await iterate(loop)
      first.close()
      #expect(Posix.isOpen(pair.watched))
      let second = try PollHandle(descriptor: pair.watched)
      pair.feed()
      #expect(try await Self.first(second, for: .readable, on: loop) == .readable)
      #expect(calls.count("first") == 0)
      second.close()
    }
  }

  @Test func `M-03 after close the descriptor can be watched on another loop`() async throws {
    try await onTestLoop("one") { one, calls in
      let pair = SocketPair()
      let first = try PollHandle(descriptor: pair.watched)
      try first.start(for: .readable) { _ in calls.mark("first") }
      try await iterate(one)
      first.close()
      let events = try await onTestLoop("other") { other, _ in
        let second = try PollHandle(descriptor: pair.watched)
        pair.feed()
        let events = try await Self.first(second, for: .readable, on: other)
        second.close()
        return events
      }
      #expect(events == .readable)
      #expect(calls.count("first") == 0)
      #expect(Posix.isOpen(pair.watched))
    }
  }

  @Test func `M-03 a second poll for a descriptor that is watched on the loop is refused`() async throws {
    try await onTestLoop { loop, calls in
      let pair = SocketPair()
      let first = try PollHandle(descriptor: pair.watched)
      try first.start(for: .readable) { _ in }
      let refusal = errorOfSecond(pair.watched, on: loop)
      #expect(refusal?.code == .fileExists)
      #expect(refusal?.call == "PollHandle.init")
      #expect(refusal?.message.contains("A PollHandle of loop \"test\" watches descriptor \(pair.watched)") == true)
      // The refusal has taken nothing from the first.
      pair.feed()
      #expect(try await Self.first(first, for: .readable, on: loop) == .readable)
      first.close()
    }
  }

  private func errorOfSecond(_ descriptor: Int32, on loop: isolated EventLoop) -> UVError? {
    do throws(UVError) {
      _ = try PollHandle(descriptor: descriptor)
      return nil
    } catch { return error }
  }

  @Test func `M-04 a regular file is refused with EPERM`() async throws {
    try await onTestLoop { loop, calls in
      let file = try #require(TemporaryFile())
      #expect(errorOfSecond(file.descriptor, on: loop)?.code == .notPermitted)
    }
  }

  @Test func `M-04 a closed descriptor, and a number that is none, are refused with EBADF`() async throws {
    try await onTestLoop { loop, calls in
      // Above every limit, so that no other test can open it meanwhile.
      #expect(errorOfSecond(Int32.max, on: loop)?.code == .badFileDescriptor)
      #expect(errorOfSecond(-1, on: loop)?.code == .badFileDescriptor)
      #expect(errorOfSecond(.min, on: loop)?.code == .badFileDescriptor)
    }
  }

  @Test func `M-04 the refused descriptor is not claimed: the same number can be watched later`() async throws {
    try await onTestLoop { loop, calls in
      let (file, pair) = (try #require(TemporaryFile()), SocketPair())
      let number = file.descriptor
      #expect(errorOfSecond(number, on: loop)?.code == .notPermitted)
      #expect(dup2(pair.watched, number) == number)
      let poll = try PollHandle(descriptor: number)
      pair.feed()
      #expect(try await Self.first(poll, for: .readable, on: loop) == .readable)
      poll.close()
    }
  }

  @Test func `M-01 the description tells descriptor, loop and state`() async throws {
    try await onTestLoop("gauge") { loop, calls in
      let pair = SocketPair()
      let poll = try PollHandle(descriptor: pair.watched)
      let start = "PollHandle for descriptor \(pair.watched) on loop \"gauge\", "
      #expect(poll.descriptor == pair.watched)
      #expect(poll.description == start + "inactive")
      try poll.start(for: [.readable, .disconnect]) { _ in }
      #expect(poll.description == start + "active for [readable, disconnect]")
      poll.close()
      #expect(poll.description == start + "closed")
    }
  }
}
