import Testing

@testable import UVLoop

/// Writes that end well, over everything that can be below a stream.
@Suite(.sideBySide) struct StreamWritingTests {
  @Test(arguments: StreamSetting.all)
  func `L-12 1 000 writes of all sizes arrive in order`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let pattern = Pattern(seed: 12)
      let reader = SlowPeer(peer, pace: .full, expecting: pattern)
      var random = SplitMix(seed: 12)
      var sent = 0
      for _ in 0..<1_000 {
        let count = Int.random(in: 0...2_000, using: &random)
        try await stream.write(pattern.bytes(at: sent, count: count))
        sent += count
      }
      #expect(stream.bytesWritten == sent && stream.queuedBytes == 0)
      try await stream.finishWriting()
      let (count, difference) = try await reader.finish()
      #expect(count == sent)
      #expect(difference == nil)
    }
  }

  @Test(arguments: [1, 40])
  func `L-59 of a large write no more than a MiB goes in one go, however much is taken`(parts: Int) async throws {
    try await onScriptedStream { loop, stream, transport in
      transport.room = .max
      let bytes = Pattern(seed: 59).bytes(count: 10 << 20)
      let size = bytes.count / parts
      let writing = loop.task { _ in
        try await stream.write(contentsOf: (0..<parts).map { Array(bytes[$0 * size..<($0 + 1) * size]) })
      }
      await expectEventually { transport.pending != nil }
      #expect(transport.taken.count == 1 << 20)
      transport.endWrite()
      #expect(transport.taken.count - 16_384 == 2 << 20)
      while transport.pending != nil { transport.endWrite() }
      try await writing.value
      #expect(transport.taken == bytes)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-56 of two tasks that write 1 000 frames each all frames are whole and in order`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let writers = (UInt8(1)...2).map { writer in
        loop.task { _ in
          var random = SplitMix(seed: UInt64(writer))
          for number in UInt16(0)..<1_000 {
            let body = [UInt8](repeating: writer, count: Int.random(in: 0...600, using: &random))
            try await stream.writeFrame(
              [writer, UInt8(number >> 8), UInt8(number & 255)] + body, lengthPrefix: .uint16)
          }
        }
      }
      let reader = Task {
        try await onPlainThread {
          var next = [UInt8: Int]()
          while true {
            let prefix = try peer.receive(exactly: 2)
            if prefix.isEmpty { return next }
            let frame = try peer.receive(exactly: Int(prefix[0]) << 8 | Int(prefix[1]))
            let number = Int(frame[1]) << 8 | Int(frame[2])
            guard number == next[frame[0], default: 0], frame[3...].allSatisfy({ $0 == frame[0] }) else { return [:] }
            next[frame[0]] = number + 1
          }
        }
      }
      for writer in writers { try await writer.value }
      try await stream.finishWriting()
      #expect(try await reader.value == [1: 1_000, 2: 1_000])
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-12 the parts of one write arrive as one, more of them than one system call takes`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let pattern = Pattern(seed: 5)
      var random = SplitMix(seed: 5)
      var parts: [[UInt8]] = []
      var total = 0
      for _ in 0..<5_000 {
        parts.append(pattern.bytes(at: total, count: max(0, Int.random(in: -10...60, using: &random))))
        total += parts[parts.count - 1].count
      }
      let reader = SlowPeer(peer, pace: .full, expecting: pattern)
      try await stream.write(contentsOf: [])
      try await stream.write(contentsOf: [[], []])
      try await stream.write(contentsOf: parts)
      #expect(stream.bytesWritten == total)
      try await stream.finishWriting()
      let (count, difference) = try await reader.finish()
      #expect(count == total)
      #expect(difference == nil)
    }
  }

  @Test func `L-12 hundreds of thousands of parts are one write, empty ones too`() async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      let reader = SlowPeer(peer, pace: .full, expecting: Pattern(seed: 1))
      let one = Pattern(seed: 1).bytes(count: 200_000).map { [$0] }
      try await stream.write(contentsOf: [[UInt8]](repeating: [], count: 200_000) + one)
      try await stream.finishWriting()
      let (count, difference) = try await reader.finish()
      #expect(count == 200_000)
      #expect(difference == nil)
    }
  }

  @Test func `an empty write asks for nothing but whether the side is open`() async throws {
    try await onScriptedStream { loop, stream, transport in
      try await stream.write([])
      try await stream.write("")
      #expect(transport.taken.isEmpty && transport.pending == nil)
      let writing = loop.task { _ in try await stream.write([1, 2, 3]) }
      await expectEventually { transport.pending == 3 }
      // Others wait, and it does not.
      try await stream.write([])
      transport.endWrite()
      try await writing.value
      stream.close()
      try await expectCode(.handleClosed) { try await stream.write([]) }
    }
  }

  @Test func `L-12 what is taken at once is not begun again, and the rest is tried again after each slice`()
    async throws
  {
    try await onScriptedStream { loop, stream, transport in
      let bytes = Pattern(seed: 8).bytes(count: 190_000)
      transport.room = 10_000
      let writing = loop.task { _ in try await stream.write(bytes) }
      await expectEventually { transport.pending == 16_384 }
      #expect(transport.taken.count == 10_000)
      #expect(stream.bytesWritten == 10_000 && stream.queuedBytes == 180_000)
      transport.room = 150_000
      transport.endWrite()
      #expect(transport.taken.count == 176_384 && transport.pending == 13_616)
      #expect(stream.bytesWritten == 176_384 && stream.queuedBytes == 13_616)
      transport.endWrite()
      try await writing.value
      #expect(transport.taken == bytes)
      #expect(stream.bytesWritten == 190_000 && stream.queuedBytes == 0)
    }
  }

  @Test func `L-12 a slice goes across the parts of a write`() async throws {
    try await onScriptedStream { loop, stream, transport in
      let bytes = Pattern(seed: 9).bytes(count: 70_000)
      let parts = stride(from: 0, to: 70_000, by: 30_000).map { Array(bytes[$0..<min($0 + 30_000, 70_000)]) }
      transport.room = 55_000
      let writing = loop.task { _ in try await stream.write(contentsOf: parts) }
      await expectEventually { transport.pending == 15_000 }
      transport.endWrite()
      try await writing.value
      #expect(transport.taken == bytes)
    }
  }

  @Test func `tryWrite gives how much was taken, and nothing where others wait`() async throws {
    try await onScriptedStream { loop, stream, transport in
      transport.room = 5
      #expect(try stream.tryWrite([1, 2, 3]) == 3)
      #expect(try stream.tryWrite([UInt8]()) == 0)
      #expect(try stream.tryWrite([4, 5, 6]) == 2)
      #expect(try stream.tryWrite([6]) == 0)
      let writing = loop.task { _ in try await stream.write([6, 7]) }
      await expectEventually { transport.pending == 2 }
      transport.room = 10
      #expect(try stream.tryWrite([9]) == 0)
      transport.endWrite()
      try await writing.value
      #expect(try stream.tryWrite([8]) == 1)
      #expect(transport.taken == [1, 2, 3, 4, 5, 6, 7, 8])
    }
  }

  @Test func `a lent buffer is written as far as it was filled, and not at all where the filling throws`() async throws
  {
    struct Failure: Error, Equatable {}
    try await onScriptedStream { loop, stream, transport in
      transport.room = .max
      try await stream.write(capacity: 100) { buffer in
        for number in UInt8(0)..<10 { unsafe buffer.append(number, as: UInt8.self) }
      }
      #expect(transport.taken == Array(0..<10))
      var capacity = -1
      try await stream.write(capacity: 0) { capacity = $0.freeCapacity }
      #expect(capacity == 0)
      func writeHalf() async throws {
        try await stream.write(capacity: 100) { buffer throws(Failure) in
          unsafe buffer.append(1, as: UInt8.self)
          throw Failure()
        }
      }
      await #expect(throws: Failure()) { try await writeHalf() }
      try await expectCode(.invalidArgument) { try await stream.write(capacity: -1) { _ in } }
      #expect(transport.taken.count == 10)
    }
  }

  @Test func `a text is written as UTF-8`() async throws {
    try await onScriptedStream { loop, stream, transport in
      transport.room = .max
      try await stream.write("Grüße\n")
      #expect(transport.taken == Array("Grüße\n".utf8))
    }
  }

  @Test func `in a task that is cancelled already nothing is written`() async throws {
    try await onScriptedStream { loop, stream, transport in
      transport.room = .max
      let task = loop.task { _ in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        try await expectCancelled { try await stream.write([1]) }
        try await expectCancelled { try await stream.write(contentsOf: [[1], [2]]) }
        try await expectCancelled { try await stream.finishWriting() }
      }
      try await task.value
      #expect(transport.taken.isEmpty && !transport.isFinishing)
      try await stream.write([2])
      #expect(transport.taken == [2])
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-55 what write has reported arrives, though the stream is closed right after`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let pattern = Pattern(seed: 55)
      let reader = SlowPeer(peer, pace: .slow(bytes: 10_000, rest: .milliseconds(1)), expecting: pattern)
      try await stream.write(pattern.bytes(count: 500_000))
      stream.close()
      let (count, difference) = try await reader.finish()
      #expect(count == 500_000)
      #expect(difference == nil)
    }
  }
}
