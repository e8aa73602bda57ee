import Testing

@testable import UVLoop

/// Counts callbacks from any thread, and compares them with what was expected.
final class Calls: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  private let lock = Lock()
  private var expected: [String: Int] = [:]
  private var seen: [String: Int] = [:]
  private var order: [String] = []

  /// `name` must be marked exactly so often by the end of the test.
  func expect(_ name: String, _ count: Int = 1) { lock.withLock { expected[name, default: 0] += count } }

  func mark(_ name: String) {
    lock.withLock {
      seen[name, default: 0] += 1
      order.append(name)
    }
  }

  func count(_ name: String) -> Int { lock.withLock { seen[name, default: 0] } }

  /// All marks, in the order in which they came.
  var log: [String] { lock.withLock { order } }

  func verify(_ location: SourceLocation) {
    let (expected, seen) = lock.withLock { (self.expected, self.seen) }
    for (name, count) in expected.sorted(by: { $0.key < $1.key }) {
      #expect(seen[name, default: 0] == count, "calls of \(name)", sourceLocation: location)
    }
  }
}

/// A number that any thread may change.
final class Counter: @unchecked Sendable {  // Holds because `number` is guarded by `lock`.
  private let lock = Lock()
  private var number = 0

  @discardableResult
  func add(_ amount: Int = 1) -> Int {
    lock.withLock {
      number += amount
      return number
    }
  }

  var value: Int { lock.withLock { number } }
}

/// A value that any thread may read and replace.
final class Shared<Value>: @unchecked Sendable {  // Holds because `stored` is guarded by `lock`.
  private let lock = Lock()
  private var stored: Value

  init(_ value: Value) { stored = value }

  var value: Value {
    get { lock.withLock { stored } }
    set {
      let old = lock.withLock {
        let old = stored
        stored = newValue
        return old
      }
      withExtendedLifetime(old) {}
    }
  }

  func update<R>(_ body: (inout Value) -> R) -> R { lock.withLock { body(&stored) } }
}
