import Synchronization
import Testing

@testable import UVLoop

@Suite(.alone) struct BiasedLockTests {
  /// Two numbers that are equal whenever nobody is changing them.
  private final class Pair: @unchecked Sendable {  // Holds because the lock guards both numbers.
    var left = 0
    var right = 0
    let isOver = Atomic<Bool>(false)
  }

  @Test func `an outsider that comes again and again never sees what the owner is in the middle of, nor keeps it out`()
    async throws
  {
    let lock = BiasedLock()
    let pair = Pair()
    async let owner: Void = onPlainThread {
      for _ in 0..<200_000 {
        lock.withOwnership {
          pair.left += 1
          pair.right += 1
        }
      }
      pair.isOver.store(true, ordering: .releasing)
    }
    async let outsider = onPlainThread {
      var (looks, torn) = (0, 0)
      while !pair.isOver.load(ordering: .acquiring) || looks == 0 {
        guard let (left, right) = lock.withAccess(until: .max, { (pair.left, pair.right) }) else { continue }
        looks += 1
        if left != right { torn += 1 }
      }
      return (looks, torn)
    }
    let (looks, torn) = try await outsider
    try await owner
    #expect(looks > 0 && torn == 0)
    #expect(pair.left == 200_000 && pair.right == 200_000)
  }

  @Test func `an owner that stays inside is waited for until the deadline`() async throws {
    let lock = BiasedLock()
    let (inside, leave) = (Event("the owner inside"), Event("the owner's leave"))
    async let owner: Void = onPlainThread {
      lock.withOwnership {
        inside.signal()
        leave.waitBlocking()
      }
    }
    try await inside.wait()
    let before = MonotonicClock.now()
    #expect(lock.withAccess(until: before + 20_000_000) { true } == nil)
    #expect(MonotonicClock.now() - before >= 20_000_000)
    leave.signal()
    try await owner
    #expect(lock.withAccess(until: .max) { true } == true)
  }

  @Test func `the owner gives way to an outsider inside, and then goes on`() async throws {
    let lock = BiasedLock()
    let (inside, leave) = (Event("an outsider inside"), Event("the outsider's leave"))
    let order = Shared<[String]>([])
    async let outsider: Void = onPlainThread {
      _ = lock.withAccess(until: .max) {
        inside.signal()
        leave.waitBlocking()
        order.update { $0.append("outsider") }
      }
    }
    try await inside.wait()
    async let owner: Void = onPlainThread { lock.withOwnership { order.update { $0.append("owner") } } }
    leave.signal()
    _ = try await (outsider, owner)
    #expect(order.value == ["outsider", "owner"])
  }
}
