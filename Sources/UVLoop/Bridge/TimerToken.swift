/// Names one entry of the heap of deadlines; stale once that entry is gone, and then never valid again.
///
/// Apart from the heap, since a wait keeps one and knows nothing of heaps.
struct TimerToken: Hashable, Sendable {
  let slot: UInt32
  let generation: UInt32

  /// Names no entry of any heap.
  static let none = TimerToken(slot: .max, generation: 0)
}
