/// Something that holds a thread while others wait for that thread: an offloaded call on its worker.
///
/// Any thread may call it.
///
/// The core needs to know of it in two places. A thread that blocks in `runBlocking` may be held by such a
/// call, and what it then waits for may need the very thread that is held. And a shutdown that is asked for from inside
/// such a call must not wait for it.
protocol WorkerLease: AnyObject, Sendable {
  /// Around a wait of the thread in `runBlocking`. It ends when its outcome is there: the thread may wake much later.
  func block()
  func unblock()
  /// Whether it has ended, and so holds no thread any more.
  var isOver: Bool { get }
  /// It asked for the shutdown of a loop, and if it is one of that loop's it is not waited for. While it blocks it
  /// waits for that end.
  func exempt(from core: LoopCore)
}

/// Which leases the calling code has. Any thread may ask for its own.
enum WorkerLeases {
  /// The leases that wait for the calling code to end, outermost first. A `runBlocking` adds the one of its thread.
  ///
  /// A task that nobody waits for inherits it too, and may outlive them all: see ``unended``.
  @TaskLocal static var chain: [any WorkerLease] = []

  /// The chain without those that have ended: whoever hands it on hands on these, or tasks that start one another would
  /// make it longer for ever.
  static var unended: [any WorkerLease] {
    let chain = chain
    return chain.isEmpty ? chain : chain.filter { !$0.isOver }
  }

  /// The lease of the calling thread.
  static var current: (any WorkerLease)? {
    guard let object = unsafe UnsafeRawPointer(bitPattern: ThreadSlot.workerLease.word) else { return nil }
    return unsafe Unmanaged<AnyObject>.fromOpaque(object).takeUnretainedValue() as? any WorkerLease
  }

  /// Runs `body` under a lease of the calling thread.
  static func run(under lease: any WorkerLease, _ body: () -> Void) {
    let outer = ThreadSlot.workerLease.word
    take(lease)
    body()
    ThreadSlot.workerLease.word = outer
  }

  /// For as long as the calling thread lives, or until somebody else is said to hold it. Keeps nothing.
  static func take(_ lease: any WorkerLease) {
    ThreadSlot.workerLease.word = UInt(bitPattern: unsafe Unmanaged.passUnretained(lease as AnyObject).toOpaque())
  }
}
