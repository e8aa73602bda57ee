extension ByteStream {
  /// Waits until `count` bytes are there, and returns them.
  ///
  /// Memory grows with what has come and not with `count`; still, compare a count that the peer has sent with a limit
  /// first.
  ///
  /// - Parameter count: Zero gives an empty array, without a wait.
  /// - Throws: ``UVError/Code/endOfFile`` if the stream ends before; ``UVError/Code/invalidArgument`` for a negative
  ///   count; what ``read(upTo:)`` throws. The bytes that have come stay, for the next read.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait. No byte is lost: those that have come stay, for the next read.
  public final func read(exactly count: Int) async throws -> [UInt8] {
    if inner.loop.isAtHome { return try await inner.readExactly(count) }
    return try await inner.elsewhere("read") { [inner] _ in try await inner.readExactly(count) }
  }

  /// Waits for `delimiter`, and returns what is before it. The delimiter is consumed.
  ///
  /// A stream that ends without one gives what is left, as if it stood behind that.
  ///
  /// - Parameters:
  ///   - delimiter: One byte or more.
  ///   - limit: How many bytes may stand before the delimiter; zero and more.
  /// - Returns: The bytes, none if the delimiter comes first; nil at an end with nothing before it.
  /// - Throws: ``UVError/Code/messageTooLong`` if there are more than `limit` bytes; ``UVError/Code/invalidArgument``
  ///   for an empty delimiter and a negative limit; what ``read(upTo:)`` throws. All bytes stay then, for the next
  ///   read.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for ``read(exactly:)``.
  ///
  /// > Complexity: O(n): each byte is looked at once, however the stream was cut.
  public final func read(until delimiter: [UInt8], limit: Int = 65_536) async throws -> [UInt8]? {
    if inner.loop.isAtHome { return try await inner.readUntil(delimiter, limit) }
    return try await inner.elsewhere("read") { [inner] _ in try await inner.readUntil(delimiter, limit) }
  }

  /// Waits for a line, and returns it without its end, which is LF or CRLF.
  ///
  /// A last line without an end is a line too. An empty line is `""`, and not the end of the stream.
  ///
  /// - Parameters:
  ///   - limit: How many bytes a line may have, its end not counted; zero and more.
  ///   - validating: Whether a line that is not UTF-8 is an error. If not, what is wrong in it becomes U+FFFD.
  /// - Returns: The line; nil at an end with nothing before it.
  /// - Throws: ``UVError/Code/messageTooLong`` if the line is longer than `limit`, and all bytes stay;
  ///   ``UVError/Code/illegalByteSequence`` if it is not UTF-8 and `validating` is true: the line is consumed, so that
  ///   the next call goes on behind it; ``UVError/Code/invalidArgument`` for a negative limit; what ``read(upTo:)``
  ///   throws.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for ``read(exactly:)``.
  ///
  /// > Complexity: O(n): each byte is looked at once, however the stream was cut.
  public final func readLine(limit: Int = 65_536, validating: Bool = false) async throws -> String? {
    if inner.loop.isAtHome { return try await inner.readLine(limit, validating) }
    return try await inner.elsewhere("readLine") { [inner] _ in try await inner.readLine(limit, validating) }
  }

  /// Waits for a frame, bytes behind their length, and returns it without the length.
  ///
  /// - Parameters:
  ///   - lengthPrefix: How the length is written; the same as the peer's.
  ///   - limit: How many bytes a frame may have, its length not counted; zero and more.
  /// - Returns: The frame, which may be empty; nil at an end between two frames.
  /// - Throws: ``UVError/Code/messageTooLong`` as soon as a length above `limit` has come;
  ///   ``UVError/Code/illegalByteSequence`` for a ``LengthPrefix/varint`` that is none; ``UVError/Code/endOfFile`` if
  ///   the stream ends inside a frame; ``UVError/Code/invalidArgument`` for a negative limit; what ``read(upTo:)``
  ///   throws. All bytes stay then, so that the same call fails again: read on in another way, or close.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for ``read(exactly:)``.
  public final func readFrame(
    lengthPrefix: LengthPrefix = .uint32, limit: Int = 1 << 20
  ) async throws -> [UInt8]? {
    if inner.loop.isAtHome { return try await inner.readFrame(lengthPrefix, limit) }
    return try await inner.elsewhere("readFrame") { [inner] _ in try await inner.readFrame(lengthPrefix, limit) }
  }

  /// Waits for the bytes of a number, and returns it.
  ///
  /// ```swift
  /// let port = try await stream.readInteger(as: UInt16.self)
  /// ```
  ///
  /// - Parameters:
  ///   - type: Of a fixed width: `Int` has another one on other machines.
  ///   - byteOrder: Which byte comes first; the most significant one unless you say otherwise.
  /// - Throws: As ``read(exactly:)`` does.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for ``read(exactly:)``.
  public final func readInteger<T: FixedWidthInteger>(
    as type: T.Type = T.self, byteOrder: ByteOrder = .big
  ) async throws -> T {
    let bytes = try await read(exactly: MemoryLayout<T>.size)
    return unsafe bytes.withUnsafeBytes { unsafe byteOrder.integer(type, from: $0) }
  }

  /// Waits for the end of the stream, and returns all bytes up to it.
  ///
  /// - Parameter limit: How many bytes at most; zero and more.
  /// - Returns: The bytes, none if the stream has ended already.
  /// - Throws: ``UVError/Code/messageTooLong`` as soon as more than `limit` bytes have come;
  ///   ``UVError/Code/invalidArgument`` for a negative limit; what ``read(upTo:)`` throws. All bytes stay then, for the
  ///   next read.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for ``read(exactly:)``.
  public final func readAll(limit: Int) async throws -> [UInt8] {
    if inner.loop.isAtHome { return try await inner.readAll(limit) }
    return try await inner.elsewhere("readAll") { [inner] _ in try await inner.readAll(limit) }
  }

  /// Writes a frame: the number of bytes, and behind it the bytes, as one write.
  ///
  /// - Throws: ``UVError/Code/messageTooLong`` if the prefix cannot count so many, and then nothing is sent; what
  ///   `write` of an array of bytes throws.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for `write`. A frame of at most 64 KiB with its length is sent whole or not at all.
  public final func writeFrame(_ bytes: [UInt8], lengthPrefix: LengthPrefix = .uint32) async throws {
    let prefix = try StreamCore.prefix(lengthPrefix, bytes.count, inner.call("writeFrame"))
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
