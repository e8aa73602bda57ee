import CLibUV

/// A `uv_poll_t`: says when a descriptor that somebody else owns can be read or written.
///
/// For C libraries that do their own input and output and only want to be told when:
///
/// ```swift
/// let descriptor = PQsocket(connection)
/// let poll = try PollHandle(descriptor: descriptor)
/// try poll.start(for: .readable) { result in
///   switch result {
///   case .success: PQconsumeInput(connection)
///   case .failure(let error): print(error)
///   }
/// }
/// ```
///
/// The descriptor stays its owner's: closing the handle leaves it open. Close the handle, or stop it, before closing
/// the descriptor. A handle that is not started has no claim to the number: whoever gets it next may watch it, and the
/// old handle does not disturb that.
///
/// The loop looks at each descriptor once more before libuv first waits for it, since libuv aborts the process if the
/// kernel refuses one. Between the two runs nobody's code on the loop; a descriptor that another thread closes just
/// then still aborts.
///
/// > Isolation: Created and used on its loop only; nothing else compiles. A call that reaches it off the loop through
/// unsafe code traps, in release builds too.
///
/// > Ownership: While it is started the loop keeps it. The callback is released at `stop`, at `close`, and after a
/// failure.
///
/// > libuv: `uv_poll_t`, `uv_poll_init`, which makes the descriptor non-blocking.
public final class PollHandle: LoopHandle {
  private let poll: PollEngine

  /// What to wait for, and what has come.
  public struct Events: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// libuv's bits.
    public let rawValue: Int32

    /// Events by libuv's bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// There is something to read, or the end. `UV_READABLE`.
    public static let readable = Events(rawValue: Int32(UV_READABLE.rawValue))
    /// There is room to write. `UV_WRITABLE`.
    public static let writable = Events(rawValue: Int32(UV_WRITABLE.rawValue))
    /// The peer has closed, or ended its writing. Linux and BSD only. `UV_DISCONNECT`.
    public static let disconnect = Events(rawValue: Int32(UV_DISCONNECT.rawValue))
    /// There is urgent data, or a device has an interrupt. Linux only. `UV_PRIORITIZED`.
    public static let prioritized = Events(rawValue: Int32(UV_PRIORITIZED.rawValue))

    static let all: Events = [.readable, .writable, .disconnect, .prioritized]

    /// The names of the events.
    public var description: String {
      let names: [(Events, String)] = [
        (.readable, "readable"), (.writable, "writable"), (.disconnect, "disconnect"), (.prioritized, "prioritized"),
      ]
      return "[" + names.filter { contains($0.0) }.map(\.1).joined(separator: ", ") + "]"
    }
  }

  /// A handle for a descriptor, not yet started.
  ///
  /// - Parameters:
  ///   - descriptor: A socket, pipe, terminal or other descriptor that the system can poll.
  ///   - isolation: The loop's own isolation; leave it out.
  /// - Throws: ``UVError/Code/badFileDescriptor`` (`EBADF`) if it is not open; ``UVError/Code/notPermitted`` (`EPERM`)
  ///   for a regular file; ``UVError/Code/fileExists`` (`EEXIST`) while the loop watches it already, by a handle that
  ///   is started or for C code; ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(descriptor: Int32, isolation: isolated any LoopActor = #isolation) throws(UVError) {
    poll = try PollEngine(descriptor, on: isolation.core(for: "PollHandle.init"))
    super.init(poll)
  }

  /// The descriptor that it watches.
  public var descriptor: Int32 { poll.descriptor }

  /// Calls `body` whenever one of `events` holds, for as long as it holds, once an iteration.
  ///
  /// On a started handle it replaces events and callback. A failure (a connection that was reset or refused, a pipe
  /// without a reader, a descriptor that was closed before the loop first waited for it) comes once and stops the
  /// handle; it is `EBADF`, the one code that libuv has for it, or `EPERM` where the number has come to belong to a
  /// file. Of a descriptor that is closed later the kernel says nothing: the handle stays active and hears no more.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` without an event, or with unknown ones;
  ///   ``UVError/Code/badFileDescriptor`` if the descriptor has been closed, unless the handle watches it for these
  ///   very events; ``UVError/Code/fileExists`` while another handle, or C code, watches it on this loop;
  ///   ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > libuv: `uv_poll_start`.
  public func start(for events: Events, _ body: @escaping (Result<Events, UVError>) -> Void) throws(UVError) {
    try poll.start(for: events, body)
  }

  /// Waits until one of `events` holds, once.
  ///
  /// ```swift
  /// while !isDone {
  ///   try await poll.wait(for: .readable)
  ///   isDone = try readSome()
  /// }
  /// ```
  ///
  /// Who waits again at once, for the same events, causes no system call, and nobody looks at the descriptor. Between
  /// two waits the handle is inactive: what holds meanwhile is told to the next wait, since the kernel still says so
  /// then. But libuv watches the descriptor until the loop's next poll. Before the descriptor is closed, its number
  /// comes to belong to something else, or C code watches it, call ``stop()`` or `close`: the next wait might hear
  /// nothing.
  ///
  /// - Returns: Those of the events that hold.
  /// - Throws: As ``start(for:_:)`` does, and what that gives its callback as a failure; ``UVError/Code/busy`` while
  ///   the handle has been started, or another task waits at it; ``UVError/Code/handleClosed`` when it is closed
  ///   meanwhile; ``UVError/Code/loopClosed`` when the loop shuts down; `CancellationError`.
  ///
  /// > Isolation: On the loop, as all of the handle.
  ///
  /// > Cancellation: Ends the wait, and takes nothing from the descriptor.
  @discardableResult
  public func wait(for events: Events, isolation: isolated (any Actor)? = #isolation) async throws -> Events {
    try await poll.wait(for: events, isolation: isolation)
  }

  /// Stops the handle and releases its callback. From now on the descriptor may be closed, and its number be watched by
  /// another handle. A task that waits gets a `CancellationError`. Twice, and on a closed handle, it does nothing.
  ///
  /// > libuv: `uv_poll_stop`.
  public func stop() { poll.stop() }
}
