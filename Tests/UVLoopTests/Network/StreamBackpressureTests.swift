import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Writers that are faster than their peer. What they cost is measured, so that nobody may run beside them.
@Suite(.alone) struct StreamBackpressureTests {
  @Test(arguments: StreamSetting.of([.unix, .tcp]))
  func `L-15 a slow reader suspends the writer, who holds a slice beside its own array`(
    setting: StreamSetting
  ) async throws {
    var options = ByteStream.Options()
    options.sendBufferSize = 65_536
    try await onTestStream(setting, options: options) { loop, stream, peer in
      let pattern = Pattern(seed: 15)
      let bytes = pattern.bytes(count: 32 << 20)
      let reader = SlowPeer(peer, expecting: pattern)
      let before = Process.allocatedBytes
      let writing = loop.task { _ in try await stream.write(bytes) }
      await expectEventually { stream.inner.writer.waitingSince != nil }
      if let before, let now = Process.allocatedBytes, !Sanitizer.isAddress, !Sanitizer.isThread {
        #expect(now - before < 65_536 + 32_768)
      }
      #expect(stream.bytesWritten + Int64(stream.queuedBytes) == bytes.count)
      #expect(stream.queuedBytes > 8 << 20, "the kernel has all that it has room for")

      // Nothing moves while nobody reads.
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(50)) }
      #expect(iterations < 20)

      let written = stream.bytesWritten
      reader.setPace(.slow(bytes: 65_536, rest: .milliseconds(1)))
      await expectEventually { stream.bytesWritten > written + 1 << 20 }
      #expect(stream.queuedBytes > 0)
      reader.setPace(.full)
      try await writing.value
      #expect(stream.bytesWritten == bytes.count && stream.queuedBytes == 0)
      stream.close()
      let (count, difference) = try await reader.finish()
      #expect(count == bytes.count)
      #expect(difference == nil)
    }
  }

  @Test(arguments: StreamSetting.of([.unix, .tcp]))
  func `L-12 1 000 writes with a small send buffer wait again and again, and arrive in order`(
    setting: StreamSetting
  ) async throws {
    var options = ByteStream.Options()
    options.sendBufferSize = 4_096
    try await onTestStream(setting, options: options) { loop, stream, peer in
      let pattern = Pattern(seed: 1_000)
      let reader = SlowPeer(peer, pace: .slow(bytes: 20_000, rest: .microseconds(500)), expecting: pattern)
      let waits = Counter()
      for number in 0..<1_000 {
        let bytes = pattern.bytes(at: number * 3_000, count: 3_000)
        let sent = try stream.tryWrite(bytes)
        if sent < bytes.count { waits.add() }
        try await stream.write(Array(bytes[sent...]))
      }
      #expect(waits.value > 10)
      try await stream.finishWriting()
      let (count, difference) = try await reader.finish()
      #expect(count == 3_000_000)
      #expect(difference == nil)
    }
  }

  @Test(arguments: [10, 30_000])
  func `L-59 a task that writes without end leaves a 10 ms tick in time`(size: Int) async throws {
    try await onTestStream(StreamSetting(kind: .unix, isInline: true)) { loop, stream, peer in
      PlainThread { while let bytes = try? peer.receive(upTo: 1 << 20), !bytes.isEmpty {} }
      var ticks = try loop.ticks(every: .milliseconds(10), missed: .burst).makeAsyncIterator()
      let lateness = OwnLateness(loop.clock, period: .milliseconds(10))
      let writer = loop.task { _ in
        let bytes = [UInt8](repeating: 7, count: size)
        while true {
          lateness.look()
          try await stream.write(bytes)
        }
      }
      var latest = Duration.zero
      for _ in 0..<50 {
        let tick = try #require(try await ticks.next(isolation: loop))
        latest = max(latest, lateness.arrived(tick))
      }
      writer.cancel()
      try await expectCancelled { try await writer.value }
      // Wide, as for all that keeps a loop busy.
      #expect(latest < .milliseconds(200))
      #expect(stream.bytesWritten > 100_000)
    }
  }

  @Test func `L-55 what write has reported arrives, though the process ends with _exit right after`() async throws {
    let listener = try PlainListener(receiveBuffer: 65_536)
    let port = listener.port
    let pattern = Pattern(seed: 55)
    let received = Task {
      try await onPlainThread(within: .seconds(60)) {
        let socket = try listener.accept()
        var check = PatternCheck(pattern)
        while true {
          let bytes = try socket.receive(upTo: 20_000)
          if bytes.isEmpty { return check }
          check.receive(bytes)
          usleep(500)
        }
      }
    }
    await #expect(processExitsWith: .exitCode(55)) { [port = port as UInt16] in
      let loop = try EventLoop()
      let stream = try await loop.connect(to: .loopback(port: port))
      let pattern = Pattern(seed: 55)
      for round in 0..<10 { try await stream.write(pattern.bytes(at: round * 300_000, count: 300_000)) }
      _exit(55)
    }
    let check = try await received.value
    #expect(check.count == 3_000_000)
    #expect(check.firstDifference == nil)
  }
}
