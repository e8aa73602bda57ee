import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Descriptors that are closed behind the stream that adopted them. libuv aborts the process when the kernel refuses
/// one, so that each of these is a process of its own.
@Suite(.alone) struct StolenDescriptorTests {
  /// What the stream was doing.
  private enum Moment: String, CaseIterable, Codable, Sendable {
    case idle, reading, readingAgain, writing, both, writingEnds, finishing
  }

  /// An adopted stream whose descriptor is closed behind it at a moment; `body` is run then.
  private static func steal(
    at moment: Moment, _ body: @Sendable (isolated EventLoop, PipeStream, _ number: Int32) async throws -> Void
  ) async throws {
    try await onTestLoop { loop, _ in
      let (ours, peer) = try PlainSocket.pair()
      let number = ours.descriptor
      let stream = try ours.adopted(on: loop)
      var calls: [Task<UVError.Code?, any Error>] = []
      func start(_ body: @escaping @Sendable () async throws -> Void) {
        calls.append(loop.task { _ in try await errorCode { try await body() } })
      }
      if moment == .readingAgain {
        try peer.sendAll([1, 2])
        #expect(try await stream.read() == [1, 2])
        // Nobody wants these, and reading stops.
        try peer.sendAll([3])
        try await iterate(loop)
      }
      if [.writing, .both, .writingEnds, .finishing].contains(moment) { try stream.fill(isolation: loop) }
      if moment == .both || moment == .writingEnds {
        start { _ = try await stream.read() }
        // The kernel watches it already, and is told of the rest.
        try await iterate(loop)
      }
      if moment == .writingEnds {
        // It closes the descriptor in the callback that ends its write, behind which less is watched for.
        let writing = loop.task { _ in
          try await stream.write([1])
          Posix.close(number)
        }
        try await iterate(loop)
        try peer.drain()
        try await writing.value
      }
      // What follows happens in one iteration of the loop: it is before the poll that the kernel is told.
      switch moment {
      case .idle, .writingEnds: break
      case .reading, .readingAgain: start { _ = try await stream.read() }
      case .writing, .both: start { try await stream.write([1]) }
      case .finishing:
        start { try await stream.write([1]) }
        start { try await stream.finishWriting() }
      }
      // Tasks begin in the order in which they were made.
      if moment != .writingEnds { await loop.task { _ in Posix.close(number) }.value }
      try await body(loop, stream, number)
      for call in calls {
        let code = try await call.value
        #expect(code == .badFileDescriptor || code == .handleClosed, "\(moment)")
      }
    }
  }

  @Test func `the process lives, and what waits throws badFileDescriptor`() async {
    for moment in Moment.allCases {
      await #expect(processExitsWith: .success) { [moment = moment as Moment] in
        try await Self.steal(at: moment) { loop, stream, number in
          try await iterate(loop)
          let isReading = [.reading, .readingAgain, .both].contains(moment)
          if !isReading { try await expectCode(.badFileDescriptor) { _ = try await stream.read() } }
          try await expectCode(.badFileDescriptor) { try await stream.write([1]) }
          #expect(!stream.isClosed)
          stream.close()
        }
      }
    }
  }

  @Test func `a number that is somebody else's by then is not closed, read or written`() async {
    for moment in Moment.allCases {
      await #expect(processExitsWith: .success) { [moment = moment as Moment] in
        try await Self.steal(at: moment) { loop, stream, number in
          // In the same iteration of the loop somebody opens another socket, and has the number.
          let (other, its) = try PlainSocket.pair()
          let taken = other.descriptor == number ? other : its
          try #require(taken.descriptor == number)
          let peer = taken === other ? its : other
          try peer.sendAll("not for you")
          try await iterate(loop)
          stream.close()
          try await iterate(loop)
          #expect(Posix.isOpen(number))
          #expect(try taken.receive(exactly: 11) == Array("not for you".utf8))
          try taken.sendAll("only this")
          #expect(try peer.receive(exactly: 9) == Array("only this".utf8))
          #expect(try peer.receiveNow() == nil)
        }
      }
    }
  }

  @Test func `a shutdown closes no number of somebody else's`() async {
    await #expect(processExitsWith: .success) {
      let loop = try EventLoop()
      let (stream, number) = try await loop.run { loop in
        let (ours, _) = try PlainSocket.pair()
        let number = ours.descriptor
        return (try ours.adopted(on: loop), number)
      }
      Posix.close(number)
      let file = Posix.openNull()
      #expect(file == number)
      await loop.shutdown()
      #expect(Posix.isOpen(number) && stream.isClosed)
    }
  }
}
