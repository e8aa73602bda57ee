import Testing

@testable import UVLoop

/// Frames behind each kind of length, over each kind of stream.
@Suite(.sideBySide) struct StreamFrameTests {
  private static let prefixes: [LengthPrefix] = [
    .uint8, .uint16, .uint32, .uint64, .uint16LittleEndian, .uint32LittleEndian, .varint,
  ]

  /// A length as the peer writes it, by other code than the library's.
  private static func length(_ count: Int, _ prefix: LengthPrefix) -> [UInt8] {
    func bytes(_ width: Int) -> [UInt8] { (0..<width).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }
    switch prefix {
    case .uint8: return bytes(1)
    case .uint16: return bytes(2).reversed()
    case .uint32: return bytes(4).reversed()
    case .uint64: return bytes(8).reversed()
    case .uint16LittleEndian: return bytes(2)
    case .uint32LittleEndian: return bytes(4)
    case .varint:
      var (rest, groups) = (count, [UInt8]())
      repeat {
        groups.append(UInt8(rest % 128) + (rest >= 128 ? 128 : 0))
        rest /= 128
      } while rest > 0
      return groups
    }
  }

  @Test(arguments: StreamSetting.all, prefixes)
  func `frames of any length come whole, empty ones too, and then the end`(
    setting: StreamSetting, prefix: LengthPrefix
  ) async throws {
    let pattern = Pattern(seed: 8)
    let counts = [0, 1, 127, 128, 255] + (prefix == .uint8 ? [] : [300, 20_000, 65_535])
    try await onTestStream(setting) { loop, stream, peer in
      async let sent: Void = onPlainThread {
        for count in counts { try peer.sendAll(Self.length(count, prefix) + pattern.bytes(at: count, count: count)) }
        try peer.shutdownWriting()
      }
      var found: [Int] = []
      for try await frame in stream.frames(lengthPrefix: prefix) {
        #expect(pattern.firstDifference(in: frame, at: frame.count) == nil)
        found.append(frame.count)
      }
      #expect(found == counts)
      #expect(try await stream.readFrame(lengthPrefix: prefix) == nil)
      try await sent
    }
  }

  @Test(arguments: StreamSetting.all, prefixes)
  func `a frame that is written is what the peer expects`(setting: StreamSetting, prefix: LengthPrefix) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let body = [UInt8](repeating: 5, count: 200)
      try await stream.writeFrame(body, lengthPrefix: prefix)
      try await stream.writeFrame([], lengthPrefix: prefix)
      let expected = Self.length(200, prefix) + body + Self.length(0, prefix)
      #expect(try await onPlainThread { try peer.receive(exactly: expected.count) } == expected)
    }
  }

  @Test(arguments: StreamSetting.of([.tcp]))
  func `a body that its prefix cannot count is refused before anything is sent`(setting: StreamSetting) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      try await expectCode(.messageTooLong) {
        try await stream.writeFrame([UInt8](repeating: 0, count: 256), lengthPrefix: .uint8)
      }
      try await expectCode(.messageTooLong) {
        try await stream.writeFrame([UInt8](repeating: 0, count: 65_536), lengthPrefix: .uint16)
      }
      #expect(stream.bytesWritten == 0 && stream.queuedBytes == 0)
    }
  }

  @Test(arguments: StreamSetting.all, prefixes)
  func `L-46 a stream that ends inside a frame throws, and what has come is the next read's`(
    setting: StreamSetting, prefix: LengthPrefix
  ) async throws {
    // In the length, where it has more than one byte, behind it, and in the body.
    let whole = Self.length(200, prefix) + [1, 2, 3]
    for count in 1...whole.count {
      try await onTestStream(setting) { loop, stream, peer in
        try peer.sendAll(Array(whole[..<count]))
        try peer.shutdownWriting()
        for _ in 0..<2 {
          try await expectCode(.endOfFile) { _ = try await stream.readFrame(lengthPrefix: prefix) }
        }
        #expect(try await stream.read() == Array(whole[..<count]))
        #expect(try await stream.readFrame(lengthPrefix: prefix) == nil)
      }
    }
  }

  @Test(arguments: StreamSetting.all, prefixes)
  func `L-48 a frame that announces more than the limit throws before any of it is collected`(
    setting: StreamSetting, prefix: LengthPrefix
  ) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let length = Self.length(101, prefix)
      try peer.sendAll(length)
      for _ in 0..<2 {
        try await expectCode(.messageTooLong) { _ = try await stream.readFrame(lengthPrefix: prefix, limit: 100) }
      }
      try peer.sendAll([UInt8](repeating: 9, count: 101))
      #expect(try await stream.readFrame(lengthPrefix: prefix, limit: 101)?.count == 101)
      try await expectCode(.invalidArgument) { _ = try await stream.readFrame(lengthPrefix: prefix, limit: -1) }
    }
  }

  @Test(arguments: StreamSetting.all)
  func `L-48 a malformed length throws, and its bytes stay`(setting: StreamSetting) async throws {
    let malformed = [UInt8](repeating: 0xff, count: 11)
    try await onTestStream(setting) { loop, stream, peer in
      try peer.sendAll(malformed)
      for _ in 0..<2 {
        try await expectCode(.illegalByteSequence) { _ = try await stream.readFrame(lengthPrefix: .varint) }
      }
      #expect(try await stream.read(exactly: 11) == malformed)
      // The largest number of 64 bits.
      try peer.sendAll([UInt8](repeating: 0xff, count: 9) + [1, 7])
      try await expectCode(.messageTooLong) { _ = try await stream.readFrame(lengthPrefix: .varint) }
    }
  }

  @Test(arguments: StreamSetting.all, prefixes)
  func `a length that comes byte by byte is a length`(setting: StreamSetting, prefix: LengthPrefix) async throws {
    try await onTestStream(setting) { loop, stream, peer in
      let task = loop.task { _ in try await stream.readFrame(lengthPrefix: prefix) }
      try await iterate(loop)
      let bytes = Self.length(200, prefix) + [UInt8](repeating: 4, count: 200)
      for (index, byte) in bytes.prefix(12).enumerated() {
        try peer.sendAll([byte])
        await expectArrived(Int64(index + 1), at: stream)
      }
      try peer.sendAll(Array(bytes.dropFirst(12)))
      #expect(try await task.value == [UInt8](repeating: 4, count: 200))
    }
  }
}
