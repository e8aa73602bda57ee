import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The end of a loop in the middle of its streams' work.
@Suite(.alone) struct StreamShutdownTests {
  /// How a call ended, or that it did, more than once for instance.
  private struct Ends: Sendable {
    var succeeded = 0
    var cancelled = 0
    /// The shutdown ended its wait.
    var closed = 0
    /// The shutdown had begun before it.
    var refused = 0
    var others: [String] = []

    mutating func note(_ body: Result<Void, any Error>) {
      switch body {
      case .success: succeeded += 1
      case .failure(let error as UVError) where error.code == .loopClosed:
        if error.message.contains("waited") { closed += 1 } else { refused += 1 }
      case .failure(is CancellationError): cancelled += 1
      case .failure(let error): others.append("\(error)")
      }
    }
  }

  @Test(arguments: Seeds.first(6))
  func `L-85 a shutdown in the middle of 500 transfers ends each wait once, and leaves nothing`(seed: UInt64)
    async throws
  {
    try await warmUpProcess()
    let descriptors = Process.loopDescriptors
    var random = SplitMix(seed: seed)
    let isTCP = seed % 2 == 0
    let ends = Shared((own: Ends(), others: Ends()))
    var peers: [PlainSocket] = []
    do {
      let loop = try EventLoop(.init(name: "shutdown"))
      let handles = await loop.run { $0.probe.handles }
      let listener = try PlainListener(backlog: 1_000)
      var calls: [Task<Void, Never>] = []
      for number in 0..<500 {
        let (stream, peer) = try await loop.run { loop in
          if !isTCP { return try await StreamKind.unix.connect(on: loop) }
          let stream = try await loop.connect(to: .loopback(port: listener.port))
          return (stream as ByteStream, try listener.accept())
        }
        peers.append(peer)
        let isOwn = Bool.random(using: &random)
        let kind = Int.random(in: 0..<6, using: &random)
        let size = Int.random(in: 1...2_000_000, using: &random)
        let call: @Sendable () async throws -> Void = {
          switch kind {
          case 0: _ = try await stream.read()
          case 1: try await stream.finishWriting()
          case 2: _ = try await stream.copy(to: stream)
          default: break
          }
          // Whatever came before: a write in flight.
          while true { try await stream.write([UInt8](repeating: UInt8(number & 255), count: size)) }
        }
        // Made before the shutdown, which refuses new ones.
        let task = isOwn ? loop.task { _ in try await call() } : Task { try await call() }
        calls.append(
          Task {
            let result = await task.result
            ends.update { if isOwn { $0.own.note(result) } else { $0.others.note(result) } }
          })
      }
      let isOver = Shared(false)
      let draining = Task { [peers] in
        try await onPlainThread(within: .seconds(60)) {
          // Some of them are faster than others, and some send.
          while !isOver.value {
            for (number, peer) in peers.enumerated() where number % 3 > 0 {
              _ = try? peer.receiveNow(upTo: 50_000)
              if number % 6 == 1 { _ = try? peer.sendNow([1, 2, 3][...]) }
            }
            usleep(200)
          }
        }
      }
      try await Task.sleep(for: .microseconds(.random(in: 0...20_000, using: &random)))
      let report = await loop.shutdown(within: .seconds(20))
      for call in calls { await call.value }
      isOver.value = true
      try await draining.value
      #expect(report.unfinished.isEmpty && report.foreignHandles.isEmpty, "seed \(seed): \(report)")
      #expect(handles.created == handles.closed && handles.created == handles.freed, "seed \(seed)")
      await expectThreadGone(loop.thread)
    }
    let (own, others) = ends.value
    #expect(
      own.succeeded + own.cancelled + own.closed + own.refused + own.others.count + others.closed + others.refused
        + others.cancelled + others.others.count == 500)
    #expect(own.others.filter { !$0.contains("finishWriting was called") }.isEmpty, "seed \(seed)")
    #expect(others.others.filter { !$0.contains("finishWriting was called") }.isEmpty, "seed \(seed)")
    #expect(own.closed == 0, "seed \(seed): a task of the loop that waits is cancelled")
    #expect(others.cancelled == 0 && others.succeeded == 0 && own.succeeded == 0, "seed \(seed)")
    // Each peer sees the end, or a reset.
    let seen = try await onPlainThread(within: .seconds(60)) { [peers] in
      peers.count { peer in
        do { while try !peer.receive().isEmpty {} } catch let failure as PlainFailure {
          return failure.errno == ECONNRESET
        } catch { return false }
        return true
      }
    }
    #expect(seen == 500, "seed \(seed)")
    for peer in peers { peer.close() }
    // The loop before this one may have closed its last one only now.
    await expectEventually("seed \(seed)") { Process.loopDescriptors.isSubset(of: descriptors) }
  }

  @Test func `L-85 who waits behind a long write at the end of its loop gets loopClosed, and not tornWrite`()
    async throws
  {
    for isOwn in [false, true] {
      try await withTestLoop { loop, _ in
        let (stream, transport) = await loop.run { loop in
          let transport = ScriptedTransport(on: loop)
          return Disconnected((ByteStream(over: transport, on: loop), transport))
        }.take()
        _ = transport
        let writes = (0..<3).map { _ in
          let write: @Sendable () async throws -> Void = {
            try await stream.write([UInt8](repeating: 1, count: 200_000))
          }
          return isOwn ? loop.task { _ in try await write() } : Task { try await write() }
        }
        await expectEventually { stream.queuedBytes == 600_000 }
        // What queued the last one waits before the loop does anything else: later it would be refused as a new call.
        await loop.run { _ in }
        await loop.shutdown()
        for write in writes {
          if isOwn {
            try await expectCancelled { try await write.value }
          } else {
            try await expectCode(.loopClosed) { try await write.value }
          }
        }
        #expect(stream.isClosed && stream.queuedBytes == 0)
      }
    }
  }

  @Test func `L-85 on a loop that has ended each call throws loopClosed, and a close does nothing`() async throws {
    let stream = try await withTestLoop { loop, _ in
      try await loop.run { loop in try await StreamKind.unix.connect(on: loop).0 }
    }
    #expect(stream.isClosed)
    try await expectCode(.loopClosed) { _ = try await stream.read() }
    try await expectCode(.loopClosed) { try await stream.write([1]) }
    try await expectCode(.loopClosed) { try await stream.write([]) }
    try await expectCode(.loopClosed) { try await stream.finishWriting() }
    try await expectCode(.loopClosed) { _ = try await stream.copy(to: stream) }
    try await expectCode(.loopClosed) { _ = try await stream.relay(with: stream) }
    await stream.closeGracefully(within: .seconds(1_000_000))
    stream.close()
    stream.reset()
    stream.timeouts.read = .seconds(1)
    _ = "\(stream)"
  }
}
