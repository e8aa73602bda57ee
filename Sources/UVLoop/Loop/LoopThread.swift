/// Starts the thread of a loop.
enum LoopThread {
  /// What goes to the new thread. It holds the executor too, which the core itself cannot.
  private final class Start: @unchecked Sendable {  // Holds because `latch` guards the identity.
    let core: LoopCore
    let executor: LoopTaskExecutor
    let latch = Lock()
    var identity: ThreadIdentity?

    init(_ core: LoopCore, _ executor: LoopTaskExecutor) {
      self.core = core
      self.executor = executor
    }
  }

  /// Returns once the thread runs and has recorded who it is.
  static func start(_ core: LoopCore, _ executor: LoopTaskExecutor) throws(UVError) -> ThreadIdentity {
    let start = Start(core, executor)
    try DetachedThread.start(named: core.name) { main(start) }
    return start.latch.withLock {
      while true {
        if let identity = start.identity { return identity }
        start.latch.wait()
      }
    }
  }

  private static func main(_ start: Start) {
    let core = start.core
    let executor = start.executor
    core.mark(current: true, isolating: true)
    start.latch.withLock {
      start.identity = .current
      start.latch.wakeAll()
    }
    core.turnUntilEnded()
    core.ending.deliver(core)
    withExtendedLifetime(executor) {}
  }
}
