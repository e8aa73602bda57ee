import Testing

@testable import UVLoop

/// A read that is cancelled takes nothing with it.
@Suite(.alone) struct StreamCancelledReadTests {
  @Test(arguments: StreamSetting.all)
  func `L-45 in a task that is cancelled already a read throws, and the bytes stay`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("abc\ndef")
      try stream.unread(Array("0".utf8))
      for form in ReadForm.each {
        for isElsewhere in [false, true] {
          let read: @Sendable () async throws -> Void = {
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            _ = try await form.read(stream)
          }
          let task = isElsewhere ? Task.detached { try await read() } : loop.task { _ in try await read() }
          await #expect(throws: CancellationError.self) { try await task.value }
        }
      }
      #expect(try await stream.readLine() == "0abc")
      #expect(try await stream.read(exactly: 3) == Array("def".utf8))
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-45 what a cancelled read has collected is what the next one gets, of whatever form`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll("\u{40}abcdefg")
      // None of them is complete: a frame of 64 bytes, a line, a hundred bytes.
      let forms: [ReadForm] = [.exactly(100), .line, .frame, .until([0]), .everything]
      for (index, form) in forms.enumerated() {
        let task: Task<ReadForm.Outcome, any Error> =
          index.isMultiple(of: 2)
          ? loop.task { _ in try await form.read(stream) } : Task.detached { try await form.read(stream) }
        await expectArrived(8, at: stream)
        await expectEventually { stream.inner.reader.isInUse }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
      }
      #expect(try await stream.read(exactly: 8) == Array("\u{40}abcdefg".utf8))
    }
  }

  @Test(arguments: StreamSetting.all)
  func `a read that is cancelled when its bytes are there gives them, or leaves them`(
    setting: StreamSetting
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      var expected: UInt8 = 0
      for round in 0..<200 {
        let read = loop.task { _ in try await stream.read(upTo: 1) }
        try await iterate(loop, times: 1)
        try peer.sendAll([UInt8(truncatingIfNeeded: round)])
        // From another thread, while the byte is on its way.
        let cancelling = Task.detached { read.cancel() }
        do {
          #expect(try await read.value == [expected])
          expected &+= 1
        } catch is CancellationError {}
        await cancelling.value
        while expected != UInt8(truncatingIfNeeded: round + 1) {
          #expect(try await stream.read(upTo: 1) == [expected])
          expected &+= 1
        }
      }
    }
  }

  // MARK: At random

  /// With a seed of its own each round can be run alone.
  @Test(arguments: StreamKind.allCases, Seeds.first(20))
  func `L-45 125 reads of random forms that are cancelled at random moments lose no byte`(
    kind: StreamKind, seed: UInt64
  ) async throws {
    let setting = StreamSetting(kind: kind, isInline: seed.isMultiple(of: 2))
    try await onTestStream(setting, seed: seed) { loop, stream, peer in
      var random = SplitMix(seed: seed)
      var model = Model(&random)
      for round in 0..<125 {
        let form = ReadForm.random(&random)
        let hasEnded = Shared(false)
        let isElsewhere = Int.random(in: 0..<4, using: &random) == 0
        let body: @Sendable () async throws -> ReadForm.Outcome = {
          defer { hasEnded.value = true }
          return try await form.read(stream)
        }
        let task = isElsewhere ? Task.detached { try await body() } : loop.task { _ in try await body() }

        for _ in 0..<Int.random(in: 0..<3, using: &random) where model.backlog < 100 {
          try peer.sendAll(model.next(Int.random(in: 0..<30, using: &random)))
          if Bool.random(using: &random) { try await iterate(loop, times: 1) }
        }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: task.cancel()
        case 1: Task.detached { task.cancel() }
        default:
          while !hasEnded.value {
            // More is in no piece; a task that is elsewhere may be long in coming.
            if model.backlog < 3_000 { try peer.sendAll(model.next(Int.random(in: 0..<30, using: &random))) }
            try await iterate(loop, times: 1)
            if Int.random(in: 0..<10, using: &random) == 0 { task.cancel() }
          }
        }
        do {
          let outcome = try await task.value
          let isNext = model.take(outcome, of: form)
          try #require(isNext, "seed \(seed), round \(round), \(form): \(outcome)")
        } catch is CancellationError {}
      }
      try peer.shutdownWriting()
      let rest = try await stream.readAll(limit: .max)
      #expect(rest == model.rest, "seed \(seed)")
    }
  }

  /// What was sent, and how much of it has been read.
  private struct Model {
    private let bytes: [UInt8]
    private var sent = 0
    private var read = 0

    /// Letters, with an end of a line now and then: each byte can begin a line, a number or a frame.
    init(_ random: inout SplitMix) {
      var bytes: [UInt8] = []
      while bytes.count < 50_000 {
        switch Int.random(in: 0..<40, using: &random) {
        case 0: bytes += [10]
        case 1: bytes += [13, 10]
        case 2: bytes += [13]
        default: bytes += [UInt8.random(in: 33..<127, using: &random)]
        }
      }
      self.bytes = bytes
    }

    /// How much has been sent and not read.
    var backlog: Int { sent - read }

    var rest: [UInt8] { Array(bytes[read..<sent]) }

    mutating func next(_ count: Int) -> [UInt8] {
      defer { sent += count }
      return Array(bytes[sent..<sent + count])
    }

    /// False if the stream stood elsewhere.
    mutating func take(_ outcome: ReadForm.Outcome, of form: ReadForm) -> Bool {
      let bytes = bytes[read..<sent]
      func isNext(_ found: [UInt8]) -> Bool { bytes.starts(with: found) }
      switch (form, outcome) {
      case (.some(let limit), .bytes(let found)):
        read += found.count
        return !found.isEmpty && found.count <= limit && isNext(found)
      case (.exactly(let count), .bytes(let found)):
        read += count
        return found.count == count && isNext(found)
      case (.until(let delimiter), .bytes(let found)):
        read += found.count + delimiter.count
        return isNext(found + delimiter)
          && bytes.firstRange(of: delimiter)?.lowerBound == bytes.startIndex + found.count
      case (.frame, .bytes(let found)):
        read += found.count + 1
        return isNext([UInt8(found.count)] + found)
      case (.integer, .number(let found)):
        read += 2
        return isNext([UInt8(found >> 8), UInt8(found & 0xff)])
      case (.line, .text(let found)):
        let line = Array(found.utf8)
        let isPair = isNext(line + [13, 10])
        read += line.count + (isPair ? 2 : 1)
        return (isPair || isNext(line + [10])) && !line.contains(10)
      default: return false
      }
    }
  }
}
