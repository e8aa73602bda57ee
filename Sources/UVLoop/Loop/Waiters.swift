/// Those who wait for one thing, the first to come first. A single one, which is the rule, takes no memory.
///
/// Who was removed from behind others stays for a while, as one who has ended: it is not resumed any more.
struct Waiters {
  private var first: LoopWait?
  private var others: [LoopWait] = []
  /// How many of the others have been handed out.
  private var taken = 0
  private var removed = 0

  var isEmpty: Bool { first == nil }

  var count: Int { (first == nil ? 0 : 1) + others[taken...].count { $0.end == nil } }

  mutating func append(_ wait: LoopWait) {
    if first == nil { first = wait } else { others.append(wait) }
  }

  mutating func popFirst() -> LoopWait? {
    let wait = first
    first = nil
    // Who has ended takes nothing any more: what it was given would be lost.
    while first == nil && taken < others.count {
      if others[taken].end == nil { first = others[taken] } else { removed -= 1 }
      taken += 1
    }
    if first == nil {
      others = []
      taken = 0
      removed = 0
    }
    return wait
  }

  /// One that has ended. Nothing happens if it has gone already.
  mutating func remove(_ wait: LoopWait) {
    if first === wait {
      _ = popFirst()
    } else if taken < others.count {
      removed += 1
      if removed > (others.count - taken) / 2 { forgetRemoved() }
    }
  }

  private mutating func forgetRemoved() {
    others = others[taken...].filter { $0.end == nil }
    taken = 0
    removed = 0
  }

  /// Hands all of them out.
  mutating func take() -> Waiters {
    defer { self = Waiters() }
    return self
  }
}
