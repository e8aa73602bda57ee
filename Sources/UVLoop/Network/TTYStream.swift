/// A terminal, or the other end of a pseudo-terminal.
///
/// ```swift
/// let terminal = try await loop.openTerminal(try OwnedDescriptor(duplicating: 0))
/// try terminal.setMode(.raw)
/// let key = try await terminal.read()  // without waiting for Return
/// terminal.close()  // and the mode is what it was
/// ```
///
/// It ends when the terminal hangs up: reads give nil, writes throw ``UVError/Code/ioError``. Its writing has no end of
/// its own: ``ByteStream/finishWriting()`` waits for what is queued, and writing may go on. See <doc:Terminals>.
///
/// > libuv: `uv_tty_t`.
public final class TTYStream: ByteStream, @unchecked Sendable {  // Holds as for every stream.
  /// What a terminal does with what is typed.
  public enum Mode: Hashable, Sendable {
    /// As it was before this process changed it: lines, which can be edited, echoed; Ctrl-C is a signal.
    case normal
    /// Each key comes as it is typed, also Ctrl-C, and none is echoed. A written newline still begins a new line.
    case raw
    /// Bytes pass in both directions as they are, for a protocol.
    case io
  }

  private let engine: TTYEngine

  init(_ engine: TTYEngine) {
    self.engine = engine
    super.init(StreamCore("TTYStream", over: engine, on: engine.loop, .init(), StreamAddresses()))
  }

  /// Changes what the terminal does with what is typed.
  ///
  /// The mode is the terminal's and not the stream's: all who have it open are concerned, and of two streams the last
  /// call counts. What it was before the first of them changed it is put back when the last of them has closed, or has
  /// gone back to ``Mode/normal``: so at the loop's shutdown too, when the process exits, and when one of these signals
  /// ends it: `SIGINT`, `SIGTERM`, `SIGHUP`, `SIGQUIT`, `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`, `SIGTRAP`, `SIGABRT`.
  /// For that a handler of these is there while a mode is set, wherever the program has none of its own and does not
  /// ignore the signal. Not by `SIGKILL`, by `_exit`, nor in the background, where the shell has put back its own.
  ///
  /// On a serial line it waits until what was written has gone out; a pseudo-terminal does not make it wait.
  ///
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``; the system's
  ///   code, ``UVError/Code/ioError`` of a terminal that has hung up, and in the background.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_tty_set_mode`. Not `uv_tty_reset_mode`, which knows one terminal.
  public func setMode(_ mode: Mode, isolation: isolated any LoopActor = #isolation) throws(UVError) {
    try inner.requireOpen("setMode")
    try engine.setMode(mode)
  }

  /// How many characters fit, now; nil where the terminal does not know it, and after the close.
  ///
  /// Its change is a signal, ``Signal/windowChange``, to the processes that it is the terminal of:
  ///
  /// ```swift
  /// for try await _ in try loop.signals(.windowChange) { draw(terminal.size ?? TerminalSize()) }
  /// ```
  ///
  /// > Isolation: Ask from anywhere.
  ///
  /// > libuv: `uv_tty_get_winsize`.
  public var size: TerminalSize? { engine.size }
}

extension EventLoop {
  /// Opens a terminal that is open already: the process's own, that of another descriptor, or the other end of a
  /// pseudo-terminal.
  ///
  /// A terminal is opened a second time, by its name, so that it is not made non-blocking for others who have it. Where
  /// that is refused, as for the other end of a pseudo-terminal, what is open is made non-blocking until the close.
  ///
  /// For a program that only reads and writes there is ``standardInput``, which takes a terminal as it takes a file.
  ///
  /// - Parameter descriptor: The stream's from now on; where this throws it has been closed. For the process's own:
  ///   ``OwnedDescriptor/init(duplicating:)`` of 0.
  /// - Throws: ``UVError/Code/invalidArgument`` for what is no terminal; ``UVError/Code/badFileDescriptor``;
  ///   ``UVError/Code/tooManyOpenFiles``; ``UVError/Code/loopClosed``; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > libuv: `uv_tty_init`.
  public nonisolated(nonsending) func openTerminal(
    _ descriptor: consuming OwnedDescriptor
  ) async throws -> TTYStream {
    let bag = DescriptorBag(descriptor)
    try Task.checkCancellation()
    try requireRunning("EventLoop.openTerminal")
    return try await call { loop in try loop.terminal(bag.take()) }
  }

  private func terminal(_ descriptor: consuming OwnedDescriptor) throws(UVError) -> TTYStream {
    let call = "EventLoop.openTerminal"
    try requireOnLoop(call)
    let number = descriptor.rawValue
    if !Posix.isOpen(number) {
      throw UVError(.badFileDescriptor, call: call, "Descriptor \(number) is not open.")
    }
    if !Posix.isTerminal(number) {
      throw UVError(
        .invalidArgument, call: call,
        """
        Descriptor \(number) is no terminal. For a pipe or a socket there are PipeStream and TCPStream; what stands \
        behind standard input, whatever it is, can be read by loop.standardInput.
        """)
    }
    return TTYStream(try TTYEngine(descriptor.release(), on: core))
  }
}

/// Brings a descriptor into a closure, which cannot have it: one that is not taken out is closed.
// Holds because one takes it, once, on the loop, after it was given.
private final class DescriptorBag: @unchecked Sendable {
  private var number: Int32

  init(_ descriptor: consuming OwnedDescriptor) { number = descriptor.release() }

  func take() -> OwnedDescriptor {
    let taken = number
    number = -1
    return OwnedDescriptor(owning: taken)
  }

  deinit { if number >= 0 { Posix.close(number) } }
}
