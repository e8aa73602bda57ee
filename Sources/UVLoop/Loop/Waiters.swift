/// Those who wait for one thing, the first to come first. A single one, which is the rule, takes no memory.
struct Waiters {
  private var first: LoopWait?
  private var others: [LoopWait] = []

  var isEmpty: Bool { first == nil }

  var count: Int { first == nil ? 0 : 1 + others.count }

  mutating func append(_ wait: LoopWait) {
    if first == nil { first = wait } else { others.append(wait) }
  }

  mutating func popFirst() -> LoopWait? {
    let wait = first
    first = others.isEmpty ? nil : others.removeFirst()
    return wait
  }

  /// Nothing happens if it has gone already.
  mutating func remove(_ wait: LoopWait) {
    if first === wait {
      _ = popFirst()
    } else if !others.isEmpty {
      others.removeAll { $0 === wait }
    }
  }

  /// Hands all of them out.
  mutating func take() -> Waiters {
    defer { self = Waiters() }
    return self
  }
}
