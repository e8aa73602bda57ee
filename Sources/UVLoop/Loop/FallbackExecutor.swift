/// Runs the jobs that reach a loop after it has ended.
///
/// An executor cannot refuse a job, and somebody awaits it: it runs here, once, in order, one at a time, on Swift's
/// global pool. A task is spawned when the first comes, and ends when none is left.
///
/// Nothing runs before ``open(for:)``: until then the loop's own thread may still be closing the loop.
final class FallbackExecutor: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  private let lock = Lock()
  private let queue = WorkQueue(capacity: 4)
  private var isOpen = false
  private var isDraining = false

  // MARK: On any thread

  func add(_ work: consuming Work, for core: LoopCore) {
    lock.lock()
    queue.append(work)
    let mustSpawn = isOpen && !isDraining
    if mustSpawn { isDraining = true }
    lock.unlock()
    if mustSpawn { spawn(core) }
  }

  func open(for core: LoopCore) {
    let mustSpawn = lock.withLock {
      isOpen = true
      isDraining = !queue.isEmpty
      return isDraining
    }
    if mustSpawn { spawn(core) }
  }

  private func spawn(_ core: LoopCore) {
    Task.detached {
      // A thread of the pool is not kept from others for longer than a batch takes: a task that goes on and on after
      // the end of its loop would hold it for ever, and the pool has no more threads than the machine has CPUs.
      while self.drainSome(core) { await Task.yield() }
    }
  }

  // MARK: On a thread of Swift's pool

  /// Runs a batch of jobs; false if none is left.
  private func drainSome(_ core: LoopCore) -> Bool {
    core.thread.isolating {
      for _ in 0..<64 {
        guard let work = next() else { return false }
        core.queue.run(work)
      }
      return true
    }
  }

  private func next() -> Work? {
    lock.withLock {
      let work = queue.popFirst()
      isDraining = work != nil
      return work
    }
  }
}
