extension ByteStream {
  @discardableResult
  public final func copy(to other: ByteStream) async throws -> Int64 {
    if core.loop.isCurrent { return try await core.copy(to: other) }
    return try await core.elsewhere("copy") { [core] _ in try await core.copy(to: other) }
  }

  @discardableResult
  public final func relay(with other: ByteStream) async throws -> (Int64, Int64) {
    guard let loop = core.loop.owner else { throw core.loop.closedError(core.call("relay")) }
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
      let (sent, rest) = try pass(to: other.core)
      if !rest.isEmpty { try await other.write(rest) }
      copied += Int64(sent + rest.count)
    }
    try await other.finishWriting()
    return copied
  }

  /// Hands over what is there: how much of it has gone, and what has not.
  @inline(never)
  private func pass(to other: StreamCore) throws -> (sent: Int, rest: [UInt8]) {
    if other.loop !== loop { return (0, reader.takeArray(.max)) }
    let taken = try unsafe reader.withBytes { bytes in
      let sent = try unsafe other.writer.tryWrite(bytes, "copy")
      return unsafe (sent, sent == bytes.count ? [] : [UInt8](copying: UnsafeRawBufferPointer(rebasing: bytes[sent...]), first: .max))
    }
    reader.take(taken.0 + taken.1.count)
    return taken
  }
}
