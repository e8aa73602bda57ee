extension Dictionary {
  /// Gives half of the memory back where a quarter is enough; true if it did. A dictionary keeps its memory however
  /// little is left in it.
  @discardableResult
  @inline(__always)
  mutating func giveBackMemory(above keptCapacity: Int) -> Bool {
    if capacity <= keptCapacity || count >= capacity / 4 { return false }
    halve()
    return true
  }

  @inline(never)
  private mutating func halve() {
    var less: Self = [:]
    less.reserveCapacity(capacity / 2)
    for (key, value) in self { less[key] = value }
    self = less
  }
}
