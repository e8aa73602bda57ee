import Synchronization

/// Writes that other threads have queued and the loop has not seen, of all of its streams.
///
/// The loop is told of them, and whoever writes there takes them first. The message alone would come too late: a thread
/// may queue bytes and then let the loop know, by whatever means, that it can end the stream.
final class StreamArrivals: @unchecked Sendable {  // Holds because the lock guards what is not atomic.
  private let lock = Lock()
  private var writes: [StreamWrite] = []
  private var isClosed = false
  private let hasSome = Atomic(false)

  // MARK: On any thread

  /// False where the loop has closed its streams, or this one takes no more.
  func add(_ write: StreamWrite, on loop: LoopCore) -> Bool {
    lock.withLock {
      if isClosed || write.isRefused { return false }
      writes.append(write)
      // Before the lock is given up: whoever comes second relies on the message, and so does what that one does next.
      if !hasSome.exchange(true, ordering: .acquiringAndReleasing) { loop.enqueue { self.takeAll() } }
      return true
    }
  }

  // MARK: On the loop

  /// Each is queued at its stream.
  @inline(__always)
  func take() {
    if hasSome.load(ordering: .acquiring) { takeAll() }
  }

  /// The same without a look before. Whoever adds one behind this sees what the loop has done so far.
  @inline(never)
  func takeAll() {
    let all = lock.withLock {
      hasSome.store(false, ordering: .releasing)
      let all = writes
      writes = []
      return all
    }
    for write in all { write.queue() }
  }

  /// The loop's streams are closed: none comes any more.
  func close() {
    lock.withLock { isClosed = true }
    takeAll()
  }
}
