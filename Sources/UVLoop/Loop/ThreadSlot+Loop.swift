extension ThreadSlot {
  /// The core whose loop runs on this thread and which has not ended: what `isCurrent` and `current` are made of.
  static let current = ThreadSlot()
  /// The core whose jobs this thread runs: the loop thread, its reaper, or whoever drains an ended loop.
  static let isolating = ThreadSlot()
  /// The serial number of this thread's identity.
  static let serial = ThreadSlot()
  /// What this thread holds that others wait for, an `Occupant`.
  static let occupant = ThreadSlot()
  /// The job that this thread runs for a while, and that was both to its loop, and is to be both when it comes home.
  static let homecomer = ThreadSlot()
}
