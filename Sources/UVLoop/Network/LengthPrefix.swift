/// The order in which the bytes of a number arrive.
///
/// ```swift
/// let count = try await stream.readInteger(as: UInt32.self, byteOrder: .little)
/// ```
///
/// > libuv: None; it moves bytes and reads no numbers.
public enum ByteOrder: Hashable, Sendable {
  /// The most significant byte comes first, as most network protocols have it.
  case big
  /// The least significant byte comes first.
  case little

  /// The number that stands at the beginning of the bytes, of which there are enough.
  func integer<T: FixedWidthInteger>(_ type: T.Type = T.self, from bytes: UnsafeRawBufferPointer) -> T {
    let value = unsafe bytes.loadUnaligned(as: type)
    return self == .big ? T(bigEndian: value) : T(littleEndian: value)
  }

  /// Writes the number to the beginning of the room, of which there is enough.
  func store<T: FixedWidthInteger>(_ value: T, to room: UnsafeMutableRawBufferPointer) {
    unsafe room.storeBytes(of: self == .big ? value.bigEndian : value.littleEndian, as: T.self)
  }
}

/// How the length of a frame is written in front of it: as an unsigned number of bytes, without the prefix itself.
///
/// Both ends must use the same one.
///
/// ```swift
/// try await stream.writeFrame(request, lengthPrefix: .varint)
/// let answer = try await stream.readFrame(lengthPrefix: .varint)
/// ```
///
/// What the prefix can count is not what a reader accepts: every read of a frame has a limit of its own, and a frame
/// that announces more throws ``UVError/Code/messageTooLong`` before any of it is collected.
///
/// > libuv: None; it moves bytes and knows no frames.
public enum LengthPrefix: Hashable, Sendable {
  /// One byte: frames of up to 255 bytes.
  case uint8
  /// Two bytes, the most significant one first: up to 65,535 bytes.
  case uint16
  /// Four bytes, the most significant one first: up to 4,294,967,295 bytes.
  case uint32
  /// Eight bytes, the most significant one first.
  case uint64
  /// Two bytes, the least significant one first: up to 65,535 bytes.
  case uint16LittleEndian
  /// Four bytes, the least significant one first: up to 4,294,967,295 bytes.
  case uint32LittleEndian
  /// One to ten bytes with seven bits each, the least significant ones first; all but the last have their highest bit
  /// set. This is LEB128, as Protocol Buffers use it.
  ///
  /// Longer encodings than needed are read, as Protocol Buffers do. More than ten bytes, or a number of more than 64
  /// bits, throw ``UVError/Code/illegalByteSequence``.
  case varint

  /// No prefix has more bytes.
  static let maximumWidth = 10

  /// What stands at the beginning of some bytes.
  enum Decoded: Equatable {
    /// A length, and the bytes that its prefix takes.
    case length(UInt64, width: Int)
    /// Only a part of a prefix, or nothing; at least so many bytes are missing.
    case incomplete(missing: Int)
    /// No prefix, whatever else comes.
    case malformed
  }

  /// Reads the prefix at the beginning of the bytes.
  func decode(_ bytes: UnsafeRawBufferPointer) -> Decoded {
    switch self {
    case .uint8: unsafe fixed(UInt8.self, .big, bytes)
    case .uint16: unsafe fixed(UInt16.self, .big, bytes)
    case .uint32: unsafe fixed(UInt32.self, .big, bytes)
    case .uint64: unsafe fixed(UInt64.self, .big, bytes)
    case .uint16LittleEndian: unsafe fixed(UInt16.self, .little, bytes)
    case .uint32LittleEndian: unsafe fixed(UInt32.self, .little, bytes)
    case .varint: unsafe variable(bytes)
    }
  }

  /// Writes the prefix of a frame.
  ///
  /// - Parameters:
  ///   - length: The number of bytes of the frame, at least 0.
  ///   - room: At least ``maximumWidth`` bytes.
  ///   - call: The public call that is running.
  /// - Returns: The number of bytes that were written to the beginning of `room`.
  /// - Throws: ``UVError/Code/messageTooLong`` if the prefix cannot count so far; then nothing was written.
  func encode(
    _ length: Int, into room: UnsafeMutableRawBufferPointer, _ call: @autoclosure () -> String
  ) throws(UVError) -> Int {
    let width =
      switch self {
      case .uint8: unsafe store(UInt8(exactly: length), .big, room)
      case .uint16: unsafe store(UInt16(exactly: length), .big, room)
      case .uint32: unsafe store(UInt32(exactly: length), .big, room)
      case .uint64: unsafe store(UInt64(exactly: length), .big, room)
      case .uint16LittleEndian: unsafe store(UInt16(exactly: length), .little, room)
      case .uint32LittleEndian: unsafe store(UInt32(exactly: length), .little, room)
      case .varint: unsafe storeVarint(length, room)
      }
    if let width { return width }
    throw UVError(
      .messageTooLong, call: call(),
      """
      A frame of \(length) bytes is too long for a \(self) prefix. Use a wider prefix at both ends, or send shorter \
      frames.
      """)
  }

  private func fixed<T: FixedWidthInteger & UnsignedInteger>(
    _ type: T.Type, _ order: ByteOrder, _ bytes: UnsafeRawBufferPointer
  ) -> Decoded {
    let width = MemoryLayout<T>.size
    if bytes.count < width { return .incomplete(missing: width - bytes.count) }
    return .length(UInt64(unsafe order.integer(type, from: bytes)), width: width)
  }

  private func variable(_ bytes: UnsafeRawBufferPointer) -> Decoded {
    var length: UInt64 = 0
    for index in 0..<min(bytes.count, Self.maximumWidth) {
      let byte = unsafe bytes[index]
      // Of the tenth byte only the lowest bit is within the 64.
      if index == Self.maximumWidth - 1 && byte > 1 { return .malformed }
      length |= UInt64(byte & 0x7f) << (7 * UInt64(index))
      if byte < 0x80 { return .length(length, width: index + 1) }
    }
    return .incomplete(missing: 1)
  }

  private func store<T: FixedWidthInteger>(
    _ length: T?, _ order: ByteOrder, _ room: UnsafeMutableRawBufferPointer
  ) -> Int? {
    guard let length else { return nil }
    unsafe order.store(length, to: room)
    return MemoryLayout<T>.size
  }

  private func storeVarint(_ length: Int, _ room: UnsafeMutableRawBufferPointer) -> Int {
    var rest = UInt64(length)
    var width = 0
    while rest >= 0x80 {
      unsafe room[width] = UInt8(truncatingIfNeeded: rest) | 0x80
      rest >>= 7
      width += 1
    }
    unsafe room[width] = UInt8(rest)
    return width + 1
  }
}
