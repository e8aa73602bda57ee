/// Calls that wait for a worker, first in, first out. Belongs to whoever has the lock of what it is a part of.
///
/// A call that is taken out before its turn leaves a gap. The gaps are closed when the end of the line is reached.
///
/// Plain memory, whose variables are only ever assigned: an array in a class is looked after at run time while it
/// changes.
@safe final class OffloadLine {
  /// Those that wait, from `head` to `tail`, with gaps.
  private var line: UnsafeMutablePointer<Offload?> = unsafe GrowingBlock.make(capacity: OffloadLine.leastCapacity)
  private var capacity = OffloadLine.leastCapacity
  /// The first index that may be taken, and the one behind the last.
  private var head = 0
  private var tail = 0
  /// How many calls wait.
  private(set) var count = 0
  /// What a line begins with, and what is kept for good after a burst.
  private static let leastCapacity = 64
  private static let keptCapacity = 4_096

  deinit {
    unsafe (line + head).deinitialize(count: tail - head)
    unsafe GrowingBlock.free(line)
  }

  var isEmpty: Bool { count == 0 }

  /// The calls that wait, the first in line first.
  var waiting: [Offload] { (head..<tail).compactMap { unsafe line[$0] } }

  func append(_ offload: Offload) {
    if tail == capacity { makeRoom() }
    unsafe offload.index = tail
    unsafe offload.line = self
    unsafe (line + tail).initialize(to: offload)
    tail += 1
    count += 1
  }

  func popFirst() -> Offload? {
    if count == 0 { return nil }
    while true {
      let offload = unsafe (line + head).move()
      head += 1
      if let offload {
        left(offload)
        return offload
      }
    }
  }

  /// Takes a call out that waits here.
  func remove(_ offload: Offload) {
    unsafe line[offload.index] = nil
    left(offload)
  }

  func removeAll() -> [Offload] {
    let all = waiting
    for offload in all { remove(offload) }
    return all
  }

  private func left(_ offload: Offload) {
    unsafe offload.line = nil
    count -= 1
    if count > 0 { return }
    unsafe (line + head).deinitialize(count: tail - head)
    head = 0
    tail = 0
    if capacity > OffloadLine.keptCapacity {
      unsafe GrowingBlock.free(line)
      capacity = OffloadLine.keptCapacity
      unsafe line = GrowingBlock.make(capacity: capacity)
    }
  }

  /// Closes the gaps, and makes the line longer if they are not half of it.
  private func makeRoom() {
    var kept = 0
    for index in head..<tail {
      guard let offload = unsafe (line + index).move() else { continue }
      unsafe offload.index = kept
      unsafe (line + kept).initialize(to: offload)
      kept += 1
    }
    head = 0
    tail = kept
    if kept <= capacity / 2 { return }
    capacity *= 2
    unsafe line = GrowingBlock.resize(line, to: capacity)
  }
}
