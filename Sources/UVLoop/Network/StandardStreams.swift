extension EventLoop {
  /// The process's standard input, whether that is a file, a pipe, a terminal, a socket or `/dev/null`.
  ///
  /// ```swift
  /// for try await line in loop.standardInput.lines() { try await loop.standardOutput.write("> \(line)\n") }
  /// ```
  ///
  /// It is opened at its first use. It belongs to the loop that has used it first, until that has shut down; meanwhile
  /// the calls of another loop's stream throw ``UVError/Code/busy``. A number that was closed when the first loop began
  /// throws ``UVError/Code/badFileDescriptor``, whatever has that number now.
  ///
  /// Other processes may have the same pipe or terminal, the shell above all, and for them nothing changes: see
  /// <doc:Terminals>. `close` ends the stream, and not the descriptor; a closed one stays closed for its loop.
  /// `finishWriting` waits for what is queued, and writing may go on; `detach` throws ``UVError/Code/notSupported``.
  ///
  /// What is read ahead for a line, a frame or a count, up to 64 KiB, others do not get.
  ///
  /// - Returns: The same object each time, for as long as the loop runs.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: `uv_pipe_open`, `uv_tty_init`, `uv_fs_read` with the offset -1.
  public nonisolated var standardInput: ByteStream { standardStream(.input) }

  /// The process's standard output; see ``standardInput``.
  ///
  /// Where nobody reads it any more a write throws ``UVError/Code/brokenPipe``, and no signal comes.
  ///
  /// - Returns: The same object each time, for as long as the loop runs.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: `uv_pipe_open`, `uv_tty_init`, `uv_fs_write` with the offset -1.
  public nonisolated var standardOutput: ByteStream { standardStream(.output) }

  /// The process's standard error; see ``standardInput``.
  ///
  /// - Returns: The same object each time, for as long as the loop runs.
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: `uv_pipe_open`, `uv_tty_init`, `uv_fs_write` with the offset -1.
  public nonisolated var standardError: ByteStream { standardStream(.error) }

  private nonisolated func standardStream(_ number: StandardDescriptor) -> ByteStream {
    requireOwnProcess()
    return StandardStreams.stream(number, on: core)
  }
}

/// The standard streams of one loop, as far as somebody has asked for them. Any thread may ask.
// Holds because the lock of the process's claims guards what is stored.
final class StandardStreams: @unchecked Sendable {
  private var streams: [StandardDescriptor: ByteStream] = [:]
  private var hasEnded = false

  static func stream(_ number: StandardDescriptor, on loop: LoopCore) -> ByteStream {
    loop.networkAnywhere.standard.stream(number, on: loop)
  }

  private func stream(_ number: StandardDescriptor, on loop: LoopCore) -> ByteStream {
    StandardClaims.process.withLock {
      if let stream = streams[number] { return stream }
      let stream = ByteStream(
        StreamCore(
          number.typeName, over: StandardTransport(number, on: loop), on: loop, .init(),
          number.wasOpen ? StreamAddresses(of: number.rawValue) : StreamAddresses()))
      // A loop that has ended would never let go of it.
      if !hasEnded && loop.life.state != .stopped { streams[number] = stream }
      return stream
    }
  }

  /// The loop has closed its streams. Another one may have what they were for.
  func end(_ loop: LoopCore) {
    var leaving: [StandardDescriptor: ByteStream] = [:]
    StandardClaims.process.withLock {
      hasEnded = true
      swap(&leaving, &streams)
    }
    StandardClaims.process.release(loop)
  }
}

extension StandardDescriptor {
  /// For messages: `standardInput.read`.
  var typeName: StaticString {
    switch self {
    case .input: "standardInput"
    case .output: "standardOutput"
    case .error: "standardError"
    }
  }

  var title: String {
    switch self {
    case .input: "Standard input"
    case .output: "Standard output"
    case .error: "Standard error"
    }
  }
}
