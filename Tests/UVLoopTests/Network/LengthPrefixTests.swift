import Testing

@testable import UVLoop

@Suite(.sideBySide) struct LengthPrefixTests {
  private static let all: [LengthPrefix] = [
    .uint8, .uint16, .uint32, .uint64, .uint16LittleEndian, .uint32LittleEndian, .varint,
  ]

  @Test(
    arguments: [
      (.uint8, 0xfe, [0xfe]),
      (.uint16, 0x1234, [0x12, 0x34]),
      (.uint32, 0x1234_5678, [0x12, 0x34, 0x56, 0x78]),
      (.uint64, 0x1234_5678, [0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78]),
      (.uint16LittleEndian, 0x1234, [0x34, 0x12]),
      (.uint32LittleEndian, 0x1234_5678, [0x78, 0x56, 0x34, 0x12]),
      (.varint, 0, [0]),
      (.varint, 127, [0x7f]),
      (.varint, 128, [0x80, 0x01]),
      (.varint, 300, [0xac, 0x02]),
      (.varint, .max, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ] as [(LengthPrefix, Int, [UInt8])])
  func `a length has these bytes`(prefix: LengthPrefix, length: Int, bytes: [UInt8]) throws {
    #expect(try encoded(length, prefix) == bytes)
    #expect(decoded(bytes, prefix) == .length(UInt64(length), width: bytes.count))
  }

  @Test(arguments: all, UInt64(1)...5)
  func `random lengths that fit come back`(prefix: LengthPrefix, seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    for bits in 0..<63 {
      let length = Int.random(in: 0...(1 << bits), using: &random)
      guard let bytes = try? encoded(length, prefix) else { continue }
      #expect(decoded(bytes + [1, 2, 3], prefix) == .length(UInt64(length), width: bytes.count))
    }
  }

  @Test(arguments: all)
  func `a part of a prefix is incomplete, and says what is missing`(prefix: LengthPrefix) throws {
    let bytes = try encoded(200, prefix)
    for count in 0..<bytes.count {
      let missing = prefix == .varint ? 1 : bytes.count - count
      #expect(decoded(Array(bytes.prefix(count)), prefix) == .incomplete(missing: missing))
    }
  }

  @Test(
    arguments: [
      (.uint8, 255), (.uint16, 65_535), (.uint16LittleEndian, 65_535), (.uint32, 4_294_967_295),
      (.uint32LittleEndian, 4_294_967_295),
    ] as [(LengthPrefix, Int)])
  func `one byte more than a prefix can count is messageTooLong, and writes nothing`(
    prefix: LengthPrefix, largest: Int
  ) throws {
    let bytes = try encoded(largest, prefix)
    #expect(bytes.allSatisfy { $0 == 0xff })
    var room: [UInt8] = []
    let error = #expect(throws: UVError.self) { try encode(largest + 1, prefix, into: &room) }
    #expect(error?.code == .messageTooLong)
    #expect(error?.call == "ByteStream.writeFrame")
    #expect(error?.message.contains("\(largest + 1) bytes is too long for a \(prefix) prefix") == true)
    #expect(room == [UInt8](repeating: 0xaa, count: LengthPrefix.maximumWidth))
  }

  @Test func `a varint of 64 bits is the longest`() {
    let nine = [UInt8](repeating: 0xff, count: 9)
    #expect(decoded(nine, .varint) == .incomplete(missing: 1))
    #expect(decoded(nine + [0x01], .varint) == .length(.max, width: 10))
    #expect(decoded(nine + [0x02], .varint) == .malformed)
    #expect(decoded(nine + [0x80], .varint) == .malformed)
    #expect(decoded(nine + [0x81, 0x00], .varint) == .malformed)
  }

  @Test func `a varint may be longer than it needs to be`() {
    #expect(decoded([0x85, 0x80, 0x00], .varint) == .length(5, width: 3))
    #expect(decoded([UInt8](repeating: 0x80, count: 9) + [0x00], .varint) == .length(0, width: 10))
  }

  @Test func `a number is read and written in either order`() {
    for (order, bytes): (ByteOrder, [UInt8]) in [(.big, [0xff, 0xfe]), (.little, [0xfe, 0xff])] {
      var room: [UInt8] = [0, 0]
      unsafe room.withUnsafeMutableBytes { unsafe order.store(-2 as Int16, to: $0) }
      #expect(room == bytes)
      let value = unsafe bytes.withUnsafeBytes { unsafe order.integer(Int16.self, from: $0) }
      #expect(value == -2)
    }
  }

  private func encode(_ length: Int, _ prefix: LengthPrefix, into room: inout [UInt8]) throws -> Int {
    room = [UInt8](repeating: 0xaa, count: LengthPrefix.maximumWidth)
    return unsafe try room.withUnsafeMutableBytes {
      unsafe try prefix.encode(length, into: $0, "ByteStream.writeFrame")
    }
  }

  private func encoded(_ length: Int, _ prefix: LengthPrefix) throws -> [UInt8] {
    var room: [UInt8] = []
    let width = try encode(length, prefix, into: &room)
    return Array(room.prefix(width))
  }

  private func decoded(_ bytes: [UInt8], _ prefix: LengthPrefix) -> LengthPrefix.Decoded {
    unsafe bytes.withUnsafeBytes { unsafe prefix.decode($0) }
  }
}
