/// Something that holds a thread while others wait for that thread: an offloaded call on its worker.
///
/// The core needs to know of it in two places. A thread that blocks in `runBlocking` may be such a holder, and what it
/// then waits for may need the very thread that it holds. And a shutdown that is asked for from inside such a call must
/// not wait for it.
protocol PoolHolder: AnyObject, Sendable {
  /// Around a wait of the thread in `runBlocking`. It ends when its outcome is there: the thread may wake much later.
  func block()
  func unblock()
  /// Whether it has ended, and so holds no thread any more.
  var isOver: Bool { get }
  /// It asked for the shutdown of a loop, and if it is one of that loop's it is not waited for.
  func exempt(from core: LoopCore)
}

enum PoolHolders {
  /// The holders that wait for the calling code to end, outermost first. A `runBlocking` adds the one of its thread.
  ///
  /// A task that nobody waits for inherits it too, and may outlive them all: see ``unended``.
  @TaskLocal static var chain: [any PoolHolder] = []

  /// The chain without those that have ended: whoever hands it on hands on these, or tasks that start one another would
  /// make it longer for ever.
  static var unended: [any PoolHolder] {
    let chain = chain
    return chain.isEmpty ? chain : chain.filter { !$0.isOver }
  }

  /// The holder of the calling thread.
  static var current: (any PoolHolder)? {
    guard let object = unsafe UnsafeRawPointer(bitPattern: ThreadSlot.poolHolder.word) else { return nil }
    return unsafe Unmanaged<AnyObject>.fromOpaque(object).takeUnretainedValue() as? any PoolHolder
  }

  /// Runs `body` as a holder of the calling thread.
  static func hold(as holder: any PoolHolder, _ body: () -> Void) {
    let outer = ThreadSlot.poolHolder.word
    hold(as: holder)
    body()
    ThreadSlot.poolHolder.word = outer
  }

  /// For as long as the calling thread lives, or until somebody else is said to hold it. Keeps nothing.
  static func hold(as holder: any PoolHolder) {
    ThreadSlot.poolHolder.word = UInt(bitPattern: unsafe Unmanaged.passUnretained(holder as AnyObject).toOpaque())
  }
}
