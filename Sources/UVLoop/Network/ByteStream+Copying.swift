extension ByteStream {
  /// Copies everything from this stream to `other`, up to the end, and then ends the writing of `other`.
  ///
  /// The next bytes are read when `other` has taken those before. Where both streams are on one loop they go from its
  /// block straight to the kernel; elsewhere, and where the kernel has no room, by an array. The idle limits of both
  /// streams hold. Both stay open.
  ///
  /// - Returns: How many bytes were copied.
  /// - Throws: What ``read(upTo:)`` throws here, and what `write` and ``finishWriting()`` throw at `other`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the copying, and `other` is not ended. Of streams of one loop no byte is lost: what has not
  /// gone to `other` is here, for the next read. Where `other` is on another loop up to 64 KiB may be on their way, and
  /// be sent or not: do not go on with these connections.
  @discardableResult
  public final func copy(to other: ByteStream) async throws -> Int64 {
    if inner.loop.isAtHome { return try await inner.copy(to: other) }
    return try await inner.elsewhere("copy") { [inner] _ in try await inner.copy(to: other) }
  }

  /// Copies both ways until both streams have ended, as a proxy does.
  ///
  /// The end of one stream becomes the end of the other, each way by itself. An error of either way, and a
  /// cancellation, ends both ways and resets both streams. After a normal end both stay open, to be closed.
  ///
  /// - Returns: How many bytes went from this stream to `other`, and back.
  /// - Throws: What ``copy(to:)`` throws, the first of the two.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends both ways, and resets both streams.
  @discardableResult
  public final func relay(with other: ByteStream) async throws -> (Int64, Int64) {
    guard let loop = inner.loop.owner else { throw inner.loop.closedError(inner.call("relay")) }
    do {
      return try await loop.concurrently({ try await self.copy(to: other) }) { try await other.copy(to: self) }
    } catch {
      reset()
      other.reset()
      throw error
    }
  }
}

extension StreamCore {
  func copy(to other: ByteStream) async throws -> Int64 {
    var copied: Int64 = 0
    while try await reader.waitForBytes(LoopNetwork.blockSize, "copy") {
      let (sent, rest) = try copyNow(to: other.inner)
      if !rest.isEmpty {
        reader.forwarding(true)
        defer { reader.forwarding(false) }
        try await forward(rest, to: other)
      }
      copied += Int64(sent + rest.count)
    }
    try await other.finishWriting()
    return copied
  }

  /// What the other stream does not take at once. If it takes none of it, it is given back.
  private func forward(_ rest: [UInt8], to other: ByteStream) async throws {
    // Of another loop nobody can tell whether it went.
    if other.inner.loop !== loop { return try await other.write(rest) }
    var write: StreamWrite?
    do {
      write = try other.inner.writer.begin(rest, "copy")
      try await write?.value(on: loop)
    } catch {
      if write?.isWithdrawn ?? true { reader.unread(rest) }
      throw error
    }
  }

  /// Passes on what is there: how much of it has gone, and what is to be written next, which is never cut.
  @inline(never)
  private func copyNow(to other: StreamCore) throws -> (sent: Int, rest: [UInt8]) {
    if other.loop !== loop { return (0, reader.takeArray(StreamWriter.wholeSize)) }
    let taken = try unsafe reader.withBytes { bytes in
      let sent = try unsafe other.writer.tryWrite(bytes, "copy")
      return unsafe (
        sent,
        sent == bytes.count ? [] : [UInt8](copying: .init(rebasing: bytes[sent...]), first: StreamWriter.wholeSize)
      )
    }
    reader.take(taken.0 + taken.1.count)
    return taken
  }
}
