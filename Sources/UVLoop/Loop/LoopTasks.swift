/// The tasks that belong to a loop: shutdown cancels them and waits for them. Any thread may use it.
final class LoopTasks: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  struct ID: Sendable {
    fileprivate let owner: LoopTasks
    fileprivate let number: UInt64
  }

  enum Kind {
    /// Made with `EventLoop.task`: shutdown waits for it.
    case task
    /// The body of a `runBlocking`: the waiting thread is released, whatever the body does.
    case blocking(release: @Sendable () -> Void)
  }

  private struct Entry {
    let name: String?
    let kind: Kind
    let started: Int64
    var cancel: (@Sendable () -> Void)?
    var isInitiator = false
    var job: UInt?
  }

  /// The loops' tasks that wait for the calling code, outermost first: the task it belongs to, and those that wait for
  /// it in `runBlocking` or for what they offloaded. Child tasks see it, and so does a `Task { }` made there, which
  /// cannot be told from one.
  @TaskLocal static var chain: [ID] = []

  /// The chain without those that have ended, for whoever makes it longer.
  static var unended: [ID] { chain.filter { id in id.owner.lock.withLock { id.owner.entries[id.number] != nil } } }

  private let lock = Lock()
  private var entries: [UInt64: Entry] = [:]
  /// Which jobs are whose. Nil until somebody asks, on a loop that is watched.
  private var numbers: [UInt: UInt64]?
  private var lastNumber: UInt64 = 0
  /// What is kept for good after a burst.
  private static let keptCapacity = 4_096
  private let inbox: LoopInbox

  init(_ inbox: LoopInbox) { self.inbox = inbox }

  /// Registers a task before it exists; nil once shutdown has begun.
  func register(_ name: String?, _ kind: Kind) -> ID? {
    lock.withLock {
      if !inbox.life.acceptsPosts { return nil }
      lastNumber += 1
      entries[lastNumber] = Entry(name: name, kind: kind, started: MonotonicClock.now())
      return ID(owner: self, number: lastNumber)
    }
  }

  /// Says how to cancel it, and which job it is. Where it has ended already nothing happens; where shutdown has
  /// cancelled the others it is cancelled now.
  func attach(_ id: ID, job: UInt? = nil, cancel: @escaping @Sendable () -> Void) {
    let isLate = lock.withLock {
      if entries[id.number] == nil { return false }
      entries[id.number]?.cancel = cancel
      if let job { note(job, of: id.number) }
      return inbox.life.hasDrained
    }
    if isLate { cancel() }
  }

  func unregister(_ id: ID) {
    // The entry is released outside the lock: it may hold the last reference to anything.
    let entry = lock.withLock {
      let entry = entries.removeValue(forKey: id.number)
      if let job = entry?.job { numbers?[job] = nil }
      if entries.giveBackMemory(above: LoopTasks.keptCapacity) && numbers != nil { _ = index() }
      return entry
    }
    _ = consume entry
  }

  /// Which job a task is, if that is not known yet. All jobs of a task are one.
  func note(_ job: UInt, of id: ID) { lock.withLock { note(job, of: id.number) } }

  private func note(_ job: UInt, of number: UInt64) {
    if entries[number] == nil { return }
    entries[number]?.job = job
    numbers?[job] = number
  }

  func name(of job: UInt) -> String? {
    lock.withLock {
      let numbers = numbers ?? index()
      return numbers[job].flatMap { entries[$0]?.name }
    }
  }

  private func index() -> [UInt: UInt64] {
    var found: [UInt: UInt64] = [:]
    for (number, entry) in entries { if let job = entry.job { found[job] = number } }
    numbers = found
    return found
  }

  /// A task that itself asked for the shutdown is not waited for.
  func exempt(_ initiators: [ID]) {
    lock.withLock {
      for id in initiators where id.owner === self { entries[id.number]?.isInitiator = true }
    }
  }

  func cancelAll() {
    let cancels = lock.withLock { entries.values.compactMap(\.cancel) }
    for cancel in cancels { cancel() }
  }

  /// Lets the threads go that wait in `runBlocking`.
  func releaseBlocked() {
    let releases = lock.withLock {
      entries.values.compactMap { entry -> (@Sendable () -> Void)? in
        if case .blocking(let release) = entry.kind, !entry.isInitiator { return release }
        return nil
      }
    }
    for release in releases { release() }
  }

  /// How many tasks shutdown waits for.
  var awaitedCount: Int {
    lock.withLock {
      entries.values.count { entry in
        if case .task = entry.kind { return !entry.isInitiator }
        return false
      }
    }
  }

  /// Tasks, as they were copied while the table stood still. To sort them takes longer, and is for later.
  struct List {
    fileprivate var tasks: [(number: UInt64, name: String?, started: Int64)] = []
    fileprivate var now: Int64 = 0

    var oldestFirst: [(name: String?, age: Duration)] {
      tasks.sorted { $0.number < $1.number }.map { ($0.name, .nanoseconds(now - $0.started)) }
    }
  }

  /// All tasks of the loop.
  var all: List { list { _ in true } }

  /// The tasks that shutdown waits for.
  var awaited: List { list { !$0.isInitiator } }

  private func list(_ isWanted: (Entry) -> Bool) -> List {
    lock.withLock {
      // Now, and not before the lock was waited for: then the youngest would be less than nothing old.
      var list = List(now: MonotonicClock.now())
      list.tasks.reserveCapacity(entries.count)
      for (number, entry) in entries {
        if case .task = entry.kind, isWanted(entry) { list.tasks.append((number, entry.name, entry.started)) }
      }
      return list
    }
  }
}
