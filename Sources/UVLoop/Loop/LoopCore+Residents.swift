// What lives on a loop without the core knowing what it is.

extension LoopCore {
  /// The resident of a slot, made at its first use. Each slot has one type of resident.
  @inline(__always)
  func resident<Resident: LoopResident, Failure>(
    _ slot: ResidentSlot, _ make: (LoopCore) throws(Failure) -> Resident
  ) throws(Failure) -> Resident {
    let resident =
      switch slot {
      case .handles: handlesSlot
      case .timers: timersSlot
      case .work: workSlot
      }
    if let resident { return unsafe unsafeDowncast(resident, to: Resident.self) }
    return try settle(slot, make)
  }

  @inline(never)
  private func settle<Resident: LoopResident, Failure>(
    _ slot: ResidentSlot, _ make: (LoopCore) throws(Failure) -> Resident
  ) throws(Failure) -> Resident {
    let resident = try make(self)
    switch slot {
    case .handles: handlesSlot = resident
    case .timers: timersSlot = resident
    case .work: workSlot = resident
    }
    books.withOwnership { residents.append(resident) }
    watch.observer.didMoveIn(resident)
    return resident
  }

  /// At the end of the loop. Residents may refer to the core, and nobody calls them any more.
  func evictResidents() {
    var leaving: [any LoopResident] = []
    books.withOwnership { swap(&leaving, &residents) }
    _ = (handlesSlot.take(), timersSlot.take(), workSlot.take())
  }
}
