extension EventLoop {
  /// Which time the waits of a loop are measured with.
  ///
  /// It is the time of ``EventLoop/clock-swift.property``, and of all that waits for it: `sleep`, `schedule`, `ticks`,
  /// `withTimeout`. Everything else is on real time whatever this says: ``TimerHandle``, which is libuv's timer; the
  /// limits of ``EventLoop/runBlocking(timeout:_:)`` and ``EventLoop/shutdown(within:)``, which keep a thread from
  /// waiting for ever; the ages in reports; Swift's own clocks.
  public struct Time: Sendable, Hashable {
    enum Kind: Sendable { case real, manual, autojump }
    let kind: Kind

    /// The monotonic clock of the machine.
    public static let real = Time(kind: .real)

    /// A time that stands still until it is advanced, by ``EventLoop/advance(by:isolation:)``,
    /// ``EventLoop/advanceToNextDeadline(isolation:)`` or ``EventLoop/runUntilIdle(isolation:)``. For tests.
    ///
    /// It begins at zero. What is due now needs no advance: a sleep of zero still takes one pass of the loop. A longer
    /// sleep lasts until the time is advanced, or until shutdown.
    ///
    /// An advance waits for what is on the loop: its queue, descriptors that are ready, its offloaded calls. It sees
    /// nothing else. A sleeper on the main actor, on Swift's global pool or on another loop is resumed at its moment,
    /// and the advance does not wait for what it does then. Nor does it wait for a task of the loop that comes back
    /// from there: one that does not prefer the loop (a `Task { }`, unlike `loop.task`, `loop.run` and
    /// ``withEventLoop(_:shutdownWithin:_:)``) goes over the global pool when a continuation of Swift's resumes it, a
    /// `task.value` or an `AsyncStream`.
    public static let manual = Time(kind: .manual)

    /// A time that jumps to the next deadline as soon as nothing else is left to wait for on the loop. For tests.
    ///
    /// It begins at zero, and may be advanced by hand as well. It stands still while
    ///
    /// - a closure or a job waits for the loop;
    /// - an offloaded call waits or runs;
    /// - a handle is active, of ours or of C code: a started ``PollHandle``, ``SignalHandle`` or ``TimerHandle``, an
    ///   open ``AsyncHandle``. Any of them may call at any time;
    /// - a request of C code is under way: a file, a name;
    /// - the loop shuts down.
    ///
    /// The loop sees nothing else, as with ``manual``. Code on the main actor, on Swift's global pool, on another loop
    /// or on a plain thread, and everything that waits for such code (a `Task.sleep` of Swift's own clocks, say), may
    /// come back to the loop later, and the time does not stand still for it: a limit around it is over at once. Where
    /// such code takes part use ``manual``.
    public static let autojump = Time(kind: .autojump)

    /// What a loop with this time counts with.
    var source: TimeSource {
      switch kind {
      case .real: TimeSource(virtual: nil)
      case .manual: TimeSource(virtual: VirtualTime(jumps: false))
      case .autojump: TimeSource(virtual: VirtualTime(jumps: true))
      }
    }
  }
}
