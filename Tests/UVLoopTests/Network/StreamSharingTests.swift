import Testing

@testable import UVLoop

/// All streams of a loop read into one block, and a stream that nobody reads has none.
@Suite(.sideBySide) struct StreamSharingTests {
  /// Two streams, each with a reader who waits, whose bytes come while the loop is busy: its next poll finds both.
  private static func onPair(
    _ setting: StreamSetting,
    _ body:
      @Sendable (
        _ loop: isolated EventLoop, _ streams: (ByteStream, ByteStream), _ peers: (PlainSocket, PlainSocket)
      ) async throws -> Void
  ) async throws {
    try await onTestLoop { loop, _ in
      loop.probe.runsInline = setting.isInline
      let (first, its) = try await setting.kind.connect(on: loop, seed: 1)
      let (second, others) = try await setting.kind.connect(on: loop, seed: 2)
      defer {
        first.close()
        second.close()
      }
      for _ in 0..<20 { try await body(loop, (first, second), (its, others)) }
    }
  }

  private static let ones = [UInt8](repeating: 1, count: 5_000)
  private static let twos = [UInt8](repeating: 2, count: 3_000)

  @Test(arguments: StreamSetting.all)
  func `L-52 two streams that are readable in one poll do not see each other's bytes`(
    setting: StreamSetting
  ) async throws {
    try await Self.onPair(setting) { loop, streams, peers in
      let first = loop.task { _ in try await streams.0.read(exactly: 5_000) }
      let second = loop.task { _ in try await streams.1.read(exactly: 3_000) }
      try await iterate(loop)
      try peers.1.sendAll(Self.twos)
      try peers.0.sendAll(Self.ones)
      #expect(try await first.value == Self.ones)
      #expect(try await second.value == Self.twos)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-52 nor where their tasks go on elsewhere`(setting: StreamSetting) async throws {
    try await Self.onPair(setting) { loop, streams, peers in
      let first = Task.detached { try await streams.0.read(exactly: 5_000) }
      let second = Task { @MainActor in
        var bytes: [UInt8] = []
        while bytes.count < 3_000 { try await streams.1.read(into: &bytes) }
        return bytes
      }
      await expectEventually { streams.0.inner.reader.isInUse && streams.1.inner.reader.isInUse }
      try peers.1.sendAll(Self.twos)
      try peers.0.sendAll(Self.ones)
      #expect(try await first.value == Self.ones)
      #expect(try await second.value == Self.twos)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-52 nor where the reader takes a part, and the rest later`(setting: StreamSetting) async throws {
    try await Self.onPair(setting) { loop, streams, peers in
      let first = loop.task { _ in
        let line = try await streams.0.read(until: [1])
        // Meanwhile others read into the block.
        try await iterate(loop)
        return (line ?? []) + [1] + (try await streams.0.read(exactly: 4_999))
      }
      let second = loop.task { _ in
        let part = try await streams.1.read(exactly: 10)
        try await iterate(loop)
        return part + (try await streams.1.read(exactly: 2_990))
      }
      try await iterate(loop)
      try peers.0.sendAll(Self.ones)
      try peers.1.sendAll(Self.twos)
      #expect(try await first.value == Self.ones)
      #expect(try await second.value == Self.twos)
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-52 nor where a reader is cancelled by the one that goes on first`(setting: StreamSetting) async throws {
    try await Self.onPair(setting) { loop, streams, peers in
      let tasks = Shared<[Task<[UInt8]?, any Error>]>([])
      for (stream, other) in [(streams.0, 1), (streams.1, 0)] {
        let task = loop.task { _ in
          let bytes = try await stream.read(upTo: 10)
          tasks.value[other].cancel()
          return bytes
        }
        tasks.update { $0.append(task) }
      }
      try await iterate(loop)
      try peers.0.sendAll(Self.ones)
      try peers.1.sendAll(Self.twos)
      var found: [[UInt8]] = [[], []]
      for (index, task) in tasks.value.enumerated() {
        do { found[index] = try await task.value ?? [] } catch is CancellationError {}
      }
      found[0] += try await streams.0.read(exactly: 5_000 - found[0].count)
      found[1] += try await streams.1.read(exactly: 3_000 - found[1].count)
      #expect(found == [Self.ones, Self.twos])
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-52 nor where one of them is closed by the reader of the other`(setting: StreamSetting) async throws {
    try await onTestLoop { loop, _ in
      loop.probe.runsInline = setting.isInline
      for round in 0..<20 {
        let (first, its) = try await setting.kind.connect(on: loop, seed: 1)
        let (second, others) = try await setting.kind.connect(on: loop, seed: 2)
        // Both close each other: whoever comes first.
        let one = loop.task { _ in
          defer { second.close() }
          return try await first.read(exactly: 2_000)
        }
        let two = loop.task { _ in
          defer { first.close() }
          return try await second.read(exactly: 2_000)
        }
        try await iterate(loop)
        for peer in round.isMultiple(of: 2) ? [its, others] : [others, its] {
          try peer.sendAll([UInt8](repeating: peer === its ? 1 : 2, count: 2_000))
        }
        for (task, byte) in [(one, UInt8(1)), (two, 2)] {
          do {
            #expect(try await task.value == [UInt8](repeating: byte, count: 2_000))
          } catch let error as UVError {
            #expect(error.code == .handleClosed)
          }
        }
        #expect(first.isClosed && second.isClosed)
      }
    }
  }

  /// How a stream ends.
  enum Ending: String, CaseIterable, Sendable { case closed, reset, dropped }

  @Test(arguments: Ending.allCases)
  func `L-52 in one callback all other streams may end that the same poll has made ready`(ending: Ending) async throws {
    try await onTestLoop { loop, _ in
      // What the callbacks close. They do not keep their streams.
      let streams = Shared<[ByteStream]>([])
      let calls = Shared(0)
      var peers: [PlainSocket] = []
      for number in 0..<100 {
        let (stream, peer) = try await StreamKind.unix.connect(on: loop)
        streams.update { $0.append(stream) }
        peers.append(peer)
        try stream.startReading { _ in
          calls.update { $0 += 1 }
          let all = streams.value
          streams.value = ending == .dropped ? [all[number]] : all
          for (index, other) in all.enumerated() where index != number {
            switch ending {
            case .closed: other.close()
            case .reset: other.reset()
            case .dropped: break
            }
          }
        } atEnd: { _ in
          calls.update { $0 += 1_000 }
        }
      }
      // All before the next poll.
      for peer in peers { try peer.sendAll([1]) }
      await expectEventually { calls.value > 0 }
      try await iterate(loop, times: 10)
      #expect(calls.value == 1)
      #expect(loop.probe.streams.count == 1)
      streams.value = []
    }
  }

  @Test(arguments: StreamSetting.of([.unix, .tcp]))
  func `L-52 a task that goes on may close all other streams that the same poll has made ready`(
    setting: StreamSetting
  ) async throws {
    try await onTestLoop { loop, _ in
      loop.probe.runsInline = setting.isInline
      let streams = Shared<[ByteStream]>([])
      var peers: [PlainSocket] = []
      for _ in 0..<100 {
        let (stream, peer) = try await setting.kind.connect(on: loop)
        streams.update { $0.append(stream) }
        peers.append(peer)
      }
      let tasks = streams.value.map { stream in
        loop.task { _ in
          let bytes = try await stream.read()
          for other in streams.value where other !== stream { other.close() }
          return bytes
        }
      }
      await expectEventually { streams.value.allSatisfy { $0.inner.reader.isAwaited } }
      for peer in peers { try peer.sendAll([1]) }
      var whole = 0
      for task in tasks {
        do {
          #expect(try await task.value == [1])
          whole += 1
        } catch let error as UVError {
          #expect(error.code == .handleClosed)
        }
      }
      #expect(whole >= 1)
      for stream in streams.value { stream.close() }
    }
  }

  // MARK: Nobody reads

  @Test(arguments: StreamSetting.of([.tcp, .unix, .transforming]), [true, false])
  func `L-42 bytes that come while nobody reads stay in the kernel, and the loop sleeps`(
    setting: StreamSetting, hasBeenRead: Bool
  ) async throws {
    let pattern = Pattern(seed: 42)
    try await onTestStream(setting) { loop, stream, peer in
      if hasBeenRead {
        try peer.sendAll([1])
        #expect(try await stream.read() == [1])
      }
      let before = stream.bytesRead
      async let sent: Void = onPlainThread { try peer.sendAll(pattern.bytes(count: 1 << 20)) }
      // The loop comes to see that bytes are there, and then no more.
      try await loop.sleep(for: .milliseconds(20))
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(50)) }
      #expect(iterations < 10)
      #expect(stream.bytesRead == before)
      #expect(stream.inner.reader.count == 0)
      let bytes = try await stream.read(exactly: 1 << 20)
      #expect(pattern.firstDifference(in: bytes) == nil)
      try await sent
    }
  }

  @Test(arguments: [true, false])
  func `L-43 reads and writes in a row cause no wake, and change nothing of what the kernel watches`(
    isInline: Bool
  ) async throws {
    try await onTestLoop { loop, _ in
      loop.probe.runsInline = isInline
      let (lower, peer) = try await StreamKind.tcp.connect(on: loop)
      let counting = CountingTransport(over: lower)
      let stream = ByteStream(over: counting, on: loop)
      // Not awaited by a child task, which would prefer the loop, and wake it.
      let echo = PlainThread {
        do {
          for number in 0..<1_000 {
            try peer.sendAll([UInt8(truncatingIfNeeded: number)])
            _ = try peer.receive(exactly: 1)
          }
        } catch {
          Issue.record(error)
        }
      }
      let count = try await loop.probe.wakes {
        for number in 0..<1_000 {
          let bytes = try await stream.read() ?? []
          #expect(bytes == [UInt8(truncatingIfNeeded: number)])
          try await stream.write(bytes)
        }
      }
      #expect(count == 0)
      #expect(counting.starts == 1, "reading is started once")
      #expect(counting.refusals == 0, "and goes on between two reads")
      try await echo.join()
      stream.close()
    }
  }
}
