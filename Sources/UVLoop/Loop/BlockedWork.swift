import CLibUV

/// What an offloaded call, or a job on an actor's thread, waits for in `runBlocking` or `shutdownBlocking`, so that a
/// watchdog can tell.
final class BlockedWork: @unchecked Sendable {  // Holds because `notes` is guarded by `lock`.
  struct Note {
    /// What it waits for, such as `runBlocking of loop "db"`.
    let wait: String
    /// The name of the task that runs there.
    let task: String?
  }

  private let lock = Lock()
  /// By the address of the call, or of the thread's executor.
  private var notes: [UInt: Note] = [:]

  static let process = BlockedWork()

  /// The lock is taken around a fork, since otherwise the child may inherit it locked by a thread that it does not
  /// have.
  private init() {
    let status = pthread_atfork(
      { BlockedWork.process.lock.lock() }, { BlockedWork.process.lock.unlock() },
      {
        BlockedWork.process.notes = [:]
        BlockedWork.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }

  /// On the thread that is going to wait: says so until `body` has ended, where it is one that others may wait for.
  func noting<R>(_ wait: @autoclosure () -> String, _ body: () throws -> R) rethrows -> R {
    let lease = ThreadSlot.workerLease.word
    let address = lease != 0 ? lease : ThreadSlot.actorThread.word & ~1
    if address == 0 { return try body() }
    let note = Note(wait: wait(), task: Task<Never, Never>.name)
    lock.withLock { notes[address] = note }
    defer { lock.withLock { notes[address] = nil } }
    return try body()
  }

  /// On any thread.
  func note(of work: ObjectIdentifier) -> Note? { lock.withLock { notes[UInt(bitPattern: work)] } }
}
