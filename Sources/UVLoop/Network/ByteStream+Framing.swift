extension ByteStream {
  public final func read(exactly count: Int) async throws -> [UInt8] {
    if core.loop.isCurrent { return try await core.readExactly(count) }
    return try await core.elsewhere("read") { [core] _ in try await core.readExactly(count) }
  }

  public final func read(until delimiter: [UInt8], limit: Int = 65_536) async throws -> [UInt8]? {
    if core.loop.isCurrent { return try await core.readUntil(delimiter, limit) }
    return try await core.elsewhere("read") { [core] _ in try await core.readUntil(delimiter, limit) }
  }

  public final func readLine(limit: Int = 65_536, validating: Bool = false) async throws -> String? {
    if core.loop.isCurrent { return try await core.readLine(limit, validating) }
    return try await core.elsewhere("readLine") { [core] _ in try await core.readLine(limit, validating) }
  }

  public final func readFrame(
    lengthPrefix: LengthPrefix = .uint32, limit: Int = 1 << 20
  ) async throws -> [UInt8]? {
    if core.loop.isCurrent { return try await core.readFrame(lengthPrefix, limit) }
    return try await core.elsewhere("readFrame") { [core] _ in try await core.readFrame(lengthPrefix, limit) }
  }

  public final func readInteger<T: FixedWidthInteger>(
    as type: T.Type = T.self, byteOrder: ByteOrder = .big
  ) async throws -> T {
    let bytes = try await read(exactly: MemoryLayout<T>.size)
    return unsafe bytes.withUnsafeBytes { unsafe byteOrder.integer(type, from: $0) }
  }

  public final func readAll(limit: Int) async throws -> [UInt8] {
    if core.loop.isCurrent { return try await core.readAll(limit) }
    return try await core.elsewhere("readAll") { [core] _ in try await core.readAll(limit) }
  }

  public final func writeFrame(_ bytes: [UInt8], lengthPrefix: LengthPrefix = .uint32) async throws {
    let prefix = try StreamCore.prefix(lengthPrefix, bytes.count, core.call("writeFrame"))
    try await write(contentsOf: [prefix, bytes])
  }
}

extension StreamCore {
  @inline(__always)
  func readExactly(_ count: Int) async throws -> [UInt8] {
    try requireNotNegative(count, "read")
    guard let piece = try await reader.waitForPiece(.count(count), .max, "read") else { return [] }
    return reader.takeArray(of: piece)
  }

  @inline(__always)
  func readUntil(
    _ delimiter: [UInt8], _ limit: Int
  ) async throws -> [UInt8]? {
    try requireNotNegative(limit, "read")
    if delimiter.isEmpty {
      throw UVError(.invalidArgument, call: call("read"), "An empty delimiter is everywhere. Give at least one byte.")
    }
    guard let piece = try await reader.waitForPiece(.delimiter(delimiter), limit, "read") else { return nil }
    return reader.takeArray(of: piece)
  }

  @inline(__always)
  func readLine(
    _ limit: Int, _ isValidating: Bool
  ) async throws -> String? {
    try requireNotNegative(limit, "readLine")
    guard let piece = try await reader.waitForPiece(.line, limit, "readLine") else { return nil }
    return try takeLine(piece, isValidating)
  }

  @inline(never)
  private func takeLine(_ piece: StreamPiece, _ isValidating: Bool) throws -> String {
    defer { reader.take(piece.consumed) }
    return try unsafe reader.withBytes { bytes in
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: bytes[piece.body])
      if !isValidating { return unsafe String(decoding: bytes, as: UTF8.self) }
      if let line = unsafe String(validating: bytes, as: UTF8.self) { return line }
      throw UVError(
        .illegalByteSequence, call: call("readLine"),
        "The line is no UTF-8. It has been consumed: the next call goes on behind it.")
    }
  }

  @inline(__always)
  func readFrame(
    _ prefix: LengthPrefix, _ limit: Int
  ) async throws -> [UInt8]? {
    try requireNotNegative(limit, "readFrame")
    guard let piece = try await reader.waitForPiece(.frame(prefix), limit, "readFrame") else { return nil }
    return reader.takeArray(of: piece)
  }

  func readAll(_ limit: Int) async throws -> [UInt8] {
    try requireNotNegative(limit, "readAll")
    // A count that never comes is found incomplete until the end.
    guard let piece = try await reader.waitForPiece(.all, limit, "readAll") else { return [] }
    return reader.takeArray(of: piece)
  }

  private func requireNotNegative(_ count: Int, _ name: StaticString) throws {
    if count < 0 {
      throw UVError(.invalidArgument, call: call(name), "A count of \(count) bytes is not possible.")
    }
  }

  /// The bytes in front of a frame.
  static func prefix(_ prefix: LengthPrefix, _ count: Int, _ call: String) throws -> [UInt8] {
    var width = 0
    var failure: UVError?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: LengthPrefix.maximumWidth) { room, filled in
      do throws(UVError) {
        width = unsafe try prefix.encode(count, into: UnsafeMutableRawBufferPointer(room), call)
      } catch { failure = error }
      filled = width
    }
    if let failure { throw failure }
    return bytes
  }
}
