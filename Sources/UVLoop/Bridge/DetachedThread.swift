import CLibUV

/// A thread that takes no signals of the process and that nobody joins.
enum DetachedThread {
  private final class Body {
    let name: String
    let run: () -> Void

    init(_ name: String, _ run: @escaping () -> Void) {
      self.name = name
      self.run = run
    }
  }

  /// Starts `body` on a new thread. Where that fails `body` is released and never runs.
  ///
  /// - Parameter stackSize: In bytes; nil for what the system gives.
  static func start(
    named name: String, stackSize: Int? = nil, _ body: sending @escaping () -> Void
  ) throws(UVError) {
    var attributes = pthread_attr_t()
    unsafe try check(-pthread_attr_init(&attributes), "pthread_attr_init")
    defer { unsafe pthread_attr_destroy(&attributes) }
    // Detached: the last reference to a loop may be dropped on its own thread, which cannot join itself.
    unsafe try check(
      -pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED)), "pthread_attr_setdetachstate")
    if let stackSize {
      unsafe try check(-pthread_attr_setstacksize(&attributes, stackSize), "pthread_attr_setstacksize")
    }

    let argument = unsafe Unmanaged.passRetained(Body(name, body)).toOpaque()
    // A thread begins with its creator's mask: until it has set its own, a signal must not land on it.
    let status = withSignalsBlocked {
      #if canImport(Darwin)
        var thread: pthread_t?
        return unsafe pthread_create(&thread, &attributes, { unsafe DetachedThread.main($0) }, argument)
      #else
        var thread = pthread_t()
        return unsafe pthread_create(&thread, &attributes, { unsafe DetachedThread.main($0) }, argument)
      #endif
    }
    if status != 0 {
      unsafe Unmanaged<Body>.fromOpaque(argument).release()
      throw UVError(
        status: -status, call: "pthread_create",
        hint: "The thread \"\(name)\" could not be created; see `ulimit -u` and `ulimit -v`.")
    }
  }

  /// Whether the system makes threads with such a stack.
  static func takes(stackSize: Int) -> Bool {
    var attributes = pthread_attr_t()
    if unsafe stackSize <= 0 || pthread_attr_init(&attributes) != 0 { return false }
    defer { unsafe pthread_attr_destroy(&attributes) }
    return unsafe pthread_attr_setstacksize(&attributes, stackSize) == 0
  }

  private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
    var mask = allButFaults
    unsafe pthread_sigmask(SIG_SETMASK, &mask, nil)
    setName(body.name)
    body.run()
    return nil
  }

  /// Process-directed signals stay with the program: these threads, and those that they start, take none but the
  /// faults, which the kernel sends to the thread that caused them.
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

  /// Runs `body`, which starts threads that inherit from this one: no signal that has been opened here, and `name`,
  /// since otherwise they would all be called like this thread.
  static func asCreator<R>(of name: String, _ body: () -> R) -> R {
    let own = currentName
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

  /// The calling thread's name.
  static var currentName: String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      guard let start = buffer.baseAddress else { return "" }
      unsafe clibuv_get_thread_name(start, buffer.count)
      return unsafe String(cString: start)
    }
  }
}
