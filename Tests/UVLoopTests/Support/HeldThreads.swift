@testable import UVLoop

/// Threads of a pool that are kept busy until they are let go.
final class HeldThreads: Sendable {
  private let gate = Event("the release of held threads")

  /// Returns when so many are held. Their labels are `holder 1`, `holder 2`, …
  init(_ count: Int, of pool: OffloadPool) async throws {
    let begun = Event("the begin of held threads")
    let gate = gate
    for number in 1...count {
      try pool.submit(label: "holder \(number)") {
        begun.signal()
        gate.waitBlocking(within: .seconds(60))
      }
    }
    try await begun.wait(times: count)
  }

  func release() { gate.signal() }
}
