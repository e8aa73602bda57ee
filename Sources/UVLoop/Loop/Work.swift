/// One thing to do on a loop.
enum Work {
  /// A closure that was posted.
  case call(() -> Void)
  /// A job for the loop as a serial executor: an actor's, or one that waited at a gate.
  case job(UnownedJob)
  /// A job for the loop as a task executor: code of a task that prefers the loop.
  case taskJob(UnownedJob)
}

/// First in, first out, in one growing block whose memory is kept.
///
/// An array would retain on reading what it is about to remove; here an element is moved out, so that a closure is
/// released as soon as it has run.
@safe struct WorkQueue: ~Copyable {
  private var storage: UnsafeMutablePointer<Work>
  private var capacity: Int
  private var head = 0
  private var tail = 0

  /// What is kept after a burst: 64 Ki elements are 1.5 MiB.
  private static let keptCapacity = 65_536

  init(capacity: Int = 256) {
    self.capacity = capacity
    unsafe storage = .allocate(capacity: capacity)
  }

  deinit {
    unsafe (storage + head).deinitialize(count: tail - head)
    unsafe storage.deallocate()
  }

  var count: Int { tail - head }

  @inline(__always)
  var isEmpty: Bool { head == tail }

  @inline(__always)
  mutating func append(_ work: consuming Work) {
    if tail == capacity { makeRoom(for: 1) }
    unsafe (storage + tail).initialize(to: work)
    tail += 1
  }

  @inline(__always)
  mutating func popFirst() -> Work? {
    guard head != tail else { return nil }
    let work = unsafe (storage + head).move()
    head += 1
    if head == tail { rewind() }
    return work
  }

  /// Takes all of `other`, behind what is here. Where nothing is here, the blocks change places and nothing is copied.
  mutating func takeAll(of other: inout WorkQueue) {
    if other.isEmpty { return }
    if isEmpty {
      swap(&self, &other)
      return
    }
    let moved = other.count
    if tail + moved > capacity { makeRoom(for: moved) }
    unsafe (storage + tail).moveInitialize(from: other.storage + other.head, count: moved)
    tail += moved
    other.head = 0
    other.tail = 0
    other.rewind()
  }

  private mutating func rewind() {
    head = 0
    tail = 0
    if capacity > WorkQueue.keptCapacity {
      unsafe storage.deallocate()
      capacity = 256
      unsafe storage = .allocate(capacity: capacity)
    }
  }

  private mutating func makeRoom(for extra: Int) {
    let count = tail - head
    if head > 0 && count + extra <= capacity / 2 {
      unsafe storage.moveInitialize(from: storage + head, count: count)
    } else {
      capacity = max(capacity * 2, count + extra)
      let larger = UnsafeMutablePointer<Work>.allocate(capacity: capacity)
      unsafe larger.moveInitialize(from: storage + head, count: count)
      unsafe storage.deallocate()
      unsafe storage = larger
    }
    head = 0
    tail = count
  }
}
