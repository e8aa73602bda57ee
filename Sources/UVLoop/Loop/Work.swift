/// One thing to do on a loop. It is handed on and never copied, so that a closure is retained no more often than its
/// owner asks for.
enum Work: ~Copyable {
  /// A closure that was posted.
  case call(() -> Void)
  /// A job of a task, and what the thread is to be for it.
  case job(UnownedJob, JobIdentity)
  /// Any of these, on a loop that is watched.
  case timestamped(TimestampedWork)

  /// Which job it is.
  var job: UInt? {
    switch self {
    case .job(let job, _): job.bits
    case .call: nil
    case .timestamped: nil
    }
  }
}

/// First in, first out, in one growing block whose memory is kept.
///
/// An array would retain on reading what it is about to remove; here an element is moved out, so that a closure is
/// released as soon as it has run.
///
/// A class, because a structure in a property of a class is looked after at run time while a method changes it: 20 ns
/// for every post. The properties of this one are changed by single assignments, which the compiler sees through.
@safe final class WorkQueue {
  private var storage: UnsafeMutablePointer<Work>
  private(set) var capacity: Int
  private var head = 0
  private var tail = 0

  /// What is kept for good: 64 Ki elements are 1.5 MiB. More is given back by halves, each time that a quarter was
  /// enough: a burst rarely comes alone, and fresh pages cost more than the work that is written to them.
  private static let keptCapacity = 65_536

  init(capacity: Int = 256) {
    self.capacity = capacity
    unsafe storage = GrowingBlock.make(capacity: capacity)
  }

  deinit {
    unsafe (storage + head).deinitialize(count: tail - head)
    unsafe GrowingBlock.free(storage)
  }

  var count: Int { tail - head }

  @inline(__always)
  var isEmpty: Bool { head == tail }

  @inline(__always)
  func append(_ work: consuming Work) {
    if tail == capacity { makeRoom(for: 1) }
    unsafe (storage + tail).initialize(to: work)
    tail += 1
  }

  @inline(__always)
  func popFirst() -> Work? {
    guard head != tail else { return nil }
    let work = unsafe (storage + head).move()
    head += 1
    if head == tail { rewind() }
    return work
  }

  /// Takes all of `other`, behind what is here. Where nothing is here, the blocks change places and nothing is copied.
  func takeAll(of other: WorkQueue) {
    if other.isEmpty { return }
    if isEmpty {
      exchange(with: other)
      return
    }
    let moved = other.count
    if tail + moved > capacity { makeRoom(for: moved) }
    unsafe (storage + tail).moveInitialize(from: other.storage + other.head, count: moved)
    tail += moved
    other.rewind()
  }

  private func exchange(with other: WorkQueue) {
    let mine = unsafe (storage, capacity, head, tail)
    unsafe (storage, capacity, head, tail) = (other.storage, other.capacity, other.head, other.tail)
    unsafe (other.storage, other.capacity, other.head, other.tail) = mine
  }

  private func rewind() {
    if capacity > WorkQueue.keptCapacity && tail < capacity / 4 { halve() }
    head = 0
    tail = 0
  }

  @inline(never)
  private func halve() {
    capacity /= 2
    unsafe GrowingBlock.free(storage)
    unsafe storage = GrowingBlock.make(capacity: capacity)
  }

  private func makeRoom(for extra: Int) {
    let count = tail - head
    if count + extra > capacity / 2 {
      capacity = max(capacity * 2, tail + extra)
      unsafe storage = GrowingBlock.resize(storage, to: capacity)
    }
    if head > 0 {
      unsafe storage.moveInitialize(from: storage + head, count: count)
      head = 0
      tail = count
    }
  }
}
