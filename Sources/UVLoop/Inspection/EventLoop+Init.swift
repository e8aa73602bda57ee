// Here and not beside the type: whoever makes a loop also makes what watches it, and only this floor knows both.

extension EventLoop {
  /// Starts a loop on a new thread, and returns once that thread runs and ``thread`` is recorded.
  ///
  /// - Parameter options: What the loop is called, "uv-loop" if nothing is said, and how it behaves.
  /// - Throws: ``UVError/Code/invalidArgument`` for a bad option, which the message names;
  ///   ``UVError/Code/tooManyOpenFiles`` when the process has too few descriptors left (the first loop needs seven, a
  ///   later one five); ``UVError/Code/resourceTemporarilyUnavailable`` when the thread cannot be created. Nothing is
  ///   left behind then.
  /// - Complexity: O(1): loops share nothing but the process's thread pool, its descriptors and its CPUs.
  ///
  /// > Isolation: Call it anywhere. It blocks the caller for the start of a thread, about 100 µs.
  ///
  /// > libuv: `uv_loop_init`.
  public init(_ options: Options = .init()) throws(UVError) {
    let monitor = LoopMonitor(options.name)
    try self.init(options, observedBy: monitor)
    monitor.begin(on: core, options)
  }
}
