extension EventLoop {
  /// How to make a loop.
  public struct Options: Sendable, Hashable {
    /// The loop's name, for people: it becomes the thread's name and stands in every message about the loop.
    ///
    /// Not empty, at most 255 bytes of UTF-8, and without a zero byte. The kernel keeps its first 15 bytes.
    public var name: String

    /// For how long the loop spins, waiting for work from other threads, before it goes to sleep; zero, not at all,
    /// unless set.
    ///
    /// A thread that posts to a loop which sleeps on another CPU waits 20 to 50 µs for it to wake, and well under one
    /// for a loop that spins. In exchange the loop keeps its CPU busy for so long after each thing that came, and
    /// descriptors wait meanwhile; timers do not. It spins only while whoever posted last ran on another CPU, and goes
    /// to sleep once nothing has come for so long: an idle loop costs nothing. 20 to 100 µs suit most programs.
    ///
    /// From zero to 10 ms. On Linux only: elsewhere a loop does not learn where a thread runs, and goes to sleep.
    public var spin: Duration

    /// Which time the loop's waits are measured with: that of the machine, unless a test wants to move it.
    public var time: Time

    /// Whether the loop measures how long it waits, how long its iterations take, and how long offloaded calls wait and
    /// run; see ``LoopMetrics``. False unless set: it costs two readings of the clock an iteration and, where the loop
    /// would wait, a second `epoll_wait`. What is only counted is counted always.
    ///
    /// > libuv: `UV_METRICS_IDLE_TIME`.
    public var metrics: Bool

    /// Whether the loop helps to find faults. It records where handles, calls and posts come from, and logs to standard
    /// error: calls that run for 100 ms or more, while they last (``startWatchdog(over:signal:_:)``) and afterwards
    /// (``reportSlowCalls(over:_:)``), and loops and handles that are dropped without being closed. False unless set,
    /// here or for all loops of a process by `UVLOOP_DEBUG=1` in its environment.
    public var debug: Bool

    /// Options with a name; everything else is as a server would want it.
    public init(
      name: String = "uv-loop", spin: Duration = .zero, time: Time = .real, metrics: Bool = false, debug: Bool = false
    ) {
      self.name = name
      self.spin = spin
      self.time = time
      self.metrics = metrics
      self.debug = debug
    }

    /// Refuses what cannot work, before anything is made.
    func validate() throws(UVError) {
      if name.isEmpty {
        throw refusal("name", "is empty. Give the loop a name, or leave it out for \"uv-loop\".")
      }
      if name.utf8.count > 255 {
        throw refusal("name", "has \(name.utf8.count) bytes of UTF-8. At most 255 are allowed.")
      }
      if name.utf8.contains(0) {
        throw refusal("name", "contains a zero byte, where the system would cut it off.")
      }
      if spin < .zero || spin > .milliseconds(10) {
        throw refusal("spin", "is \(spin), and must be from zero to 10 ms: descriptors wait while the loop spins.")
      }
    }

    private func refusal(_ option: String, _ sentence: String) -> UVError {
      UVError(.invalidArgument, call: "EventLoop.init", "Options.\(option) \(sentence)")
    }
  }
}
