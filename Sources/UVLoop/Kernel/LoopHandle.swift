import CLibUV

/// What all handles of libuv have in common: ``TimerHandle``, ``AsyncHandle``, ``PollHandle``, ``SignalHandle``,
/// ``PrepareHandle``, ``CheckHandle``, ``IdleHandle``.
///
/// So an `[LoopHandle]` can be kept and closed, whatever is in it.
///
/// > Isolation: Created and used on its loop only; nothing else compiles. A call that reaches it off the loop through
/// unsafe code traps, in release builds too.
///
/// > Ownership: While it is active the loop keeps it, and it goes on calling though nobody holds it. One that is
/// dropped while it is inactive is closed.
///
/// > libuv: `uv_handle_t`.
public class LoopHandle {
  private let engine: Handle

  init(_ engine: Handle) { self.engine = engine }

  deinit { engine.wrapperIsGone() }

  /// Whether its callback may come: it has been started, or needs no start. A one-shot is inactive already in its own
  /// callback.
  ///
  /// > libuv: `uv_is_active`.
  public final var isActive: Bool {
    engine.requireReadable("isActive")
    return engine.mayCall
  }

  /// Whether the handle has been closed, by `close` or by the loop's shutdown.
  ///
  /// > libuv: `uv_is_closing`.
  public final var isClosed: Bool {
    engine.requireReadable("isClosed")
    return engine.state.isClosed
  }

  /// Closes the handle: it never calls again, and its callback is released. Twice is once.
  ///
  /// > libuv: `uv_close`. The memory is freed in the close callback, for most kinds at the end of the loop's iteration;
  /// ``closed(isolation:)`` waits for that.
  public final func close() { engine.close() }

  /// Waits until the handle is closed and libuv has let go of it, by whomever it is closed. Returns at once if that is
  /// so already. It closes nothing.
  ///
  /// - Returns: True; false if the wait has ended before.
  ///
  /// > Cancellation: Ends the wait. So does a shutdown, where the handle is open when it begins: it closes the handle
  /// itself, but only when the loop's tasks have ended, and they may wait for the one that waits here.
  @discardableResult
  public final func closed(isolation: isolated (any Actor)? = #isolation) async -> Bool {
    await engine.closed(isolation: isolation)
  }
}

extension LoopHandle: CustomStringConvertible {
  /// Kind, loop and state in one line; off the loop without the state.
  public var description: String { engine.description }
}
