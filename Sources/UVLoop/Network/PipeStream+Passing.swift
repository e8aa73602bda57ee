import Synchronization

extension PipeStream {
  /// Sends a stream to the process at the other end, with bytes that say what it is for.
  ///
  /// ```swift
  /// try await pipe.send(connection, with: [1])
  /// connection.close()  // the other process has it now
  /// ```
  ///
  /// The other end gets a descriptor of its own for the same connection. This one stays open, and its owner closes it,
  /// also right after the call. Whoever reads, both take from the same bytes; and an end of the writing is the end for
  /// both, as is a ``ByteStream/reset()``. So ``ByteStream/close()`` it, and do that before the body of a `serve`
  /// returns, which would end the writing first.
  ///
  /// It is a write like any other: it waits behind those before it, and its bytes stay together, with the descriptor at
  /// the first one.
  ///
  /// - Parameters:
  ///   - stream: A TCP connection, one over a Unix socket, or a pipe; of any loop.
  ///   - bytes: At least one, since the kernel sends no descriptor alone. The other end reads them as all others.
  /// - Throws: ``UVError/Code/invalidArgument`` without a byte; ``UVError/Code/notSupported`` if this pipe was made
  ///   without ``ByteStream/Options/passesStreams`` or is no Unix socket, and if `stream` has no descriptor, or lies
  ///   over another one; ``UVError/Code/busy`` while `stream` holds bytes that were read ahead, which the other end
  ///   would
  ///   miss: take them out first with `takeBuffered`, and send them along; also while somebody writes to it, and while
  ///   it holds streams that nobody has taken; ``UVError/Code/tornWrite`` if a write to it
  ///   was cut; ``UVError/Code/handleClosed`` if either is closed; ``UVError/Code/tooManyOpenFiles``; what `write`
  ///   throws. The kernel may refuse a descriptor, where too many have been sent that nobody has received
  ///   (`ETOOMANYREFS`): nothing is sent then, and the pipe can be used on.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As for a `write` of the bytes: behind others nothing is sent; one that has begun is sent whole, if
  /// it is no longer than 64 KiB.
  ///
  /// > Ownership: The stream stays the caller's. Until it is sent, a second descriptor of it is kept.
  ///
  /// > libuv: `uv_try_write2`, `uv_write2`.
  public nonisolated(nonsending) func send(_ stream: ByteStream, with bytes: [UInt8] = [0]) async throws {
    try inner.requirePassing("send")
    if bytes.isEmpty {
      throw UVError(
        .invalidArgument, call: inner.call("send"), "The kernel sends no descriptor alone. Give at least one byte.")
    }
    let descriptor = SentDescriptor(try await stream.inner.duplicate())
    if inner.loop.isCurrent { return try await inner.send(descriptor, bytes) }
    try await inner.elsewhere("send") { [inner] _ in try await inner.send(descriptor, bytes) }
  }

  /// Waits for the next stream that the other end has sent.
  ///
  /// ```swift
  /// while let stream = try await pipe.receiveStream() {
  ///   let purpose = try await pipe.read(exactly: 1)
  ///   …
  /// }
  /// ```
  ///
  /// The bytes that were sent along are read as all others, before the stream is taken or behind it; another task may
  /// read meanwhile. While nobody does, it holds up to 64 KiB of them, and then throws: read what comes with the
  /// streams.
  ///
  /// Streams that nobody takes are closed with the pipe. At most 64 wait; of what comes then none is opened, and the
  /// call that would have given it throws.
  ///
  /// - Returns: A ``TCPStream`` or a ``PipeStream`` of this loop, made with the options of this pipe and the caller's
  ///   to close; nil at the end.
  /// - Throws: ``UVError/Code/notSupported`` if this pipe was made without ``ByteStream/Options/passesStreams``, or is
  ///   no Unix socket; ``UVError/Code/invalidArgument`` for something else than a stream, such as a file or a socket
  ///   that listens, which has been closed; ``UVError/Code/tooManyOpenFiles`` for one that this process had no
  ///   descriptor for; ``UVError/Code/noBufferSpace`` for those beyond 64; ``UVError/Code/messageTooLong`` if 64 KiB
  ///   have come that nobody has read; ``UVError/Code/busy`` while another task waits for streams; what
  ///   ``ByteStream/read(upTo:)`` throws. After each of the first five you may call it again.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait. No stream and no byte is lost.
  ///
  /// > Ownership: The descriptor is the stream's, and is closed by an `exec`.
  ///
  /// > libuv: `uv_read_start`; in place of `uv_accept`, see <doc:PassedStreamsAreReadHere>.
  public nonisolated(nonsending) func receiveStream() async throws -> ByteStream? {
    try inner.requirePassing("receiveStream")
    if inner.loop.isAtHome { return try await inner.reader.receiver?.next("receiveStream") }
    return try await inner.elsewhere("receiveStream") { [inner] _ in
      try await inner.reader.receiver?.next("receiveStream")
    }
  }
}

extension StreamCore {
  fileprivate func requirePassing(_ name: StaticString) throws(UVError) {
    if transport is PassingEngine { return }
    throw UVError(
      .notSupported, call: call(name),
      """
      No streams can be sent over this pipe. Make it with options.passesStreams, at both ends, and over a Unix socket.
      """)
  }

  /// A second descriptor of what is to be sent.
  fileprivate nonisolated(nonsending) func duplicate() async throws -> Int32 {
    if loop.isCurrent { return try duplicate(for: "send") }
    return try await elsewhere("send") { [self] _ in try duplicate(for: "send") }
  }

  fileprivate func send(_ descriptor: SentDescriptor, _ bytes: [UInt8]) async throws {
    guard let engine = transport as? PassingEngine else { return }
    try await writer.begin(bytes, "send") { () throws(UVError) in
      try engine.courier(descriptor.release())
    }.value(on: loop)
  }
}

/// A descriptor that is to be sent, and is closed where that does not come about.
private final class SentDescriptor: Sendable {
  private let descriptor: Atomic<Int32>

  init(_ descriptor: Int32) { self.descriptor = Atomic(descriptor) }

  deinit {
    let descriptor = release()
    if descriptor >= 0 { Posix.close(descriptor) }
  }

  /// It is the caller's; once.
  func release() -> Int32 { descriptor.exchange(-1, ordering: .acquiringAndReleasing) }
}
