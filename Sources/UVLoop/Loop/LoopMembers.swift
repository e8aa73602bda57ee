/// What of one kind is on a loop: its handles, requests, waits, streams. Changed on the loop's thread under the
/// registry lock, under which others may read it.
final class LoopMembers<Member: LoopMember> {
  private let registryLock: BiasedLock
  private(set) var all: [Member] = []
  /// What is kept for good after a burst: 32 KiB.
  static var keptCapacity: Int { 4_096 }

  init(_ registryLock: BiasedLock) { self.registryLock = registryLock }

  func add(_ member: Member) {
    member.index = all.count
    registryLock.withOwnership { all.append(member) }
  }

  /// Once; a second time nothing happens.
  func remove(_ member: Member) {
    let index = member.index
    if index < 0 { return }
    member.index = -1
    let last = registryLock.withOwnership {
      let last = all.removeLast()
      if last !== member { all[index] = last }
      if all.capacity > Self.keptCapacity && all.count < all.capacity / 4 { halve() }
      return last
    }
    if last !== member { last.index = index }
  }

  /// A quarter is enough. An array keeps its memory however little is left in it.
  @inline(never)
  private func halve() {
    var less: [Member] = []
    less.reserveCapacity(all.capacity / 2)
    less += all
    all = less
  }
}

/// What is in such a list, and knows where.
protocol LoopMember: AnyObject {
  /// Kept by the list; negative outside.
  nonisolated var index: Int { get set }
}
