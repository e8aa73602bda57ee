import CLibUV

/// Starts the thread of a loop.
enum LoopThread {
  /// What goes to the new thread. It holds the executor too, which the core itself cannot.
  private final class Start {
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
    let argument = unsafe Unmanaged.passRetained(start).toOpaque()

    var attributes = pthread_attr_t()
    unsafe try check(-pthread_attr_init(&attributes), "pthread_attr_init")
    defer { unsafe pthread_attr_destroy(&attributes) }
    // Detached: the last reference to a loop may be dropped on its own thread, which cannot join itself.
    unsafe try check(
      -pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED)), "pthread_attr_setdetachstate")

    // A thread begins with its creator's mask: until it has set its own, a signal must not land on it.
    let status = withSignalsBlocked {
      #if canImport(Darwin)
        var thread: pthread_t?
        return unsafe pthread_create(&thread, &attributes, { unsafe LoopThread.main($0) }, argument)
      #else
        var thread = pthread_t()
        return unsafe pthread_create(&thread, &attributes, { unsafe LoopThread.main($0) }, argument)
      #endif
    }
    if status != 0 {
      unsafe Unmanaged<Start>.fromOpaque(argument).release()
      throw UVError(
        status: -status, call: "pthread_create",
        hint: "The loop's thread could not be created; see `ulimit -u` and `ulimit -v`.")
    }
    return start.latch.withLock {
      while true {
        if let identity = start.identity { return identity }
        start.latch.wait()
      }
    }
  }

  private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    let core = start.core
    let executor = start.executor
    blockSignals()
    setName(core.name)
    core.mark(current: true, isolating: true)
    start.latch.withLock {
      start.identity = .current
      start.latch.wakeAll()
    }
    core.turnUntilEnded()
    core.ending.deliver(core)
    withExtendedLifetime(executor) {}
    return nil
  }

  /// Process-directed signals stay with the program: the loop's thread and the pool threads that it starts take none
  /// but the faults, which the kernel sends to the thread that caused them.
  private static func blockSignals() {
    var mask = allButFaults
    unsafe pthread_sigmask(SIG_SETMASK, &mask, nil)
  }

  private static var allButFaults: sigset_t {
    var mask = sigset_t()
    unsafe sigfillset(&mask)
    for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS] { unsafe sigdelset(&mask, fault) }
    return mask
  }

  /// Runs `body` with every signal but those of faults blocked on the calling thread.
  private static func withSignalsBlocked<R>(_ body: () -> R) -> R {
    var mask = allButFaults
    var before = sigset_t()
    unsafe pthread_sigmask(SIG_SETMASK, &mask, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    return body()
  }

  /// Runs `body`, which starts threads that inherit from this one: no signal that a `SignalHandle` has opened here, and
  /// `name`, since otherwise they would all be called like the loop.
  static func asCreator<R>(of name: String, _ body: () -> R) -> R {
    let own = ThreadIdentity.current.name
    setName(name)
    defer { setName(own) }
    return withSignalsBlocked(body)
  }

  /// Linux keeps 15 bytes of a thread's name and refuses longer ones: cut where a character ends.
  private static func setName(_ name: String) {
    var cut = ""
    for character in name {
      if cut.utf8.count + character.utf8.count > 15 { break }
      cut.append(character)
    }
    unsafe cut.withCString { unsafe clibuv_set_thread_name($0) }
  }
}
