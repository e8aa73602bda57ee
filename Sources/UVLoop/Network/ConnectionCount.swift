import Synchronization

/// How many connections of a group's listeners a loop has, those included that are on their way to it.
final class ConnectionCount: Sendable {
  private let number = Atomic(0)

  var value: Int { number.load(ordering: .relaxed) }

  func add() { number.add(1, ordering: .relaxed) }

  func remove() { number.subtract(1, ordering: .relaxed) }
}
