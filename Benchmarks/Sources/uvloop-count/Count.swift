import CCounting
import Foundation
import UVLoop

/// What an operation may ask the system for. Counted, not timed: the same on every machine.
///
///   uvloop-count                   prints `operation<TAB>what<TAB>counted<TAB>at most`, and fails where it is more
///   uvloop-count --instructions    prints the instructions of each operation, with valgrind
@main
struct Count {
  /// The main thread waits in a call of its own: with an asynchronous `main` Dispatch ends it, and valgrind then ends
  /// too.
  static func main() {
    Task.detached {
      do {
        exit(try await count(Array(CommandLine.arguments.dropFirst())) ? 0 : 1)
      } catch {
        FileHandle.standardError.write(Data("\(error)\n".utf8))
        exit(1)
      }
    }
    while true { pause() }
  }

  /// False where something is more than it may be.
  private static func count(_ arguments: [String]) async throws -> Bool {
    if arguments == ["--instructions"] {
      try instructions()
      return true
    }
    if arguments.count == 3 && arguments[0] == "run" {
      try await run(arguments[1], arguments[2])
      return true
    }
    if counting_works() == 0 {
      print("Nothing is counted here: it takes glibc.")
      return true
    }
    var ledger = Ledger()
    try await Count.posts(&ledger)
    try await Count.onLoop(&ledger)
    try await Count.streams(&ledger)
    try await Count.datagrams(&ledger)
    try await Count.idle(&ledger)
    if ledger.failures > 0 {
      FileHandle.standardError.write(Data("\(ledger.failures) of the figures above are more than they may be.\n".utf8))
    }
    return ledger.failures == 0
  }

  /// Enough that what happens once, such as a queue that grows, does not count.
  static let rounds = 10_000

  /// Runs the operation a few times, so that all is in place, and then counts.
  static func allocations(
    isolation: isolated (any Actor)? = #isolation, _ operation: () async throws -> Void
  ) async rethrows -> Double {
    for _ in 0..<100 { try await operation() }
    let before = counting_allocations()
    for _ in 0..<rounds { try await operation() }
    return Double(counting_allocations() - before) / Double(rounds)
  }
}

/// Prints what was counted, beside what it may be.
struct Ledger {
  private(set) var failures = 0

  mutating func enter(_ operation: String, _ what: String, _ counted: Double, atMost limit: Double) {
    // What happens once in a while, a hundredth of the operations, is no part of the operation.
    let isTooMuch = counted > limit + 0.01
    if isTooMuch { failures += 1 }
    let shown = String(format: "%.3f", counted)
    print("\(operation)\t\(what)\t\(shown)\t\(limit)\(isTooMuch ? "\tTOO MUCH" : "")")
  }
}
