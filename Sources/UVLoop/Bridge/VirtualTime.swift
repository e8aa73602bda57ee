import Synchronization

/// A time that stands still until somebody moves it, and never goes back.
///
/// One thread moves it; any may read it.
final class VirtualTime: Sendable {
  /// Whether it is to go on by itself where nothing else is left to wait for.
  let jumps: Bool
  private let moment = Atomic<Int64>(0)

  init(jumps: Bool) { self.jumps = jumps }

  /// Nanoseconds since it was made.
  var now: Int64 { moment.load(ordering: .acquiring) }

  /// The last moment that can be reached. `Int64.max` means never, and would come if time stood there.
  static let end = Int64.max - 1

  /// Goes to a moment; stays where it is if that has passed.
  func move(to later: Int64) {
    let later = min(later, VirtualTime.end)
    if later > now { moment.store(later, ordering: .releasing) }
  }
}
