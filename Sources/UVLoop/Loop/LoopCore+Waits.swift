// Waits that shutdown ends. A wait is a gate; it is admitted on the loop's thread when its task begins to wait, and
// dismissed when the task goes on. Shutdown fires what is admitted, once; what comes later is fired at once.

extension LoopCore {
  /// Runs `body` on the loop: now if this is its thread, else as a message. False if the loop has ended, and then
  /// `body` never runs: the caller resumes whoever waits for it.
  @discardableResult
  func onLoop(_ body: @escaping () -> Void) -> Bool {
    if isCurrent {
      body()
      return true
    }
    return tell(body)
  }

  /// On the loop: keeps the gate until ``dismiss(_:)``. False, and the gate is fired, if shutdown has released the
  /// waits.
  func admit(_ gate: Gate) -> Bool {
    if hasReleasedWaits {
      gate.fire(.closed)
      return false
    }
    books.withOwnership { waits[ObjectIdentifier(gate)] = gate }
    return true
  }

  /// The wait is over, however it ended.
  func dismiss(_ gate: Gate) { onLoop { self.books.withOwnership { self.waits[ObjectIdentifier(gate)] = nil } } }

  /// Shutdown: every wait ends with `closed`.
  func releaseWaits() {
    hasReleasedWaits = true
    let gates = books.withOwnership {
      defer { waits = [:] }
      return waits
    }
    for gate in gates.values { gate.fire(.closed) }
  }
}
