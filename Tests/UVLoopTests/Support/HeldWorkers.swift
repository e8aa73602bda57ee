@testable import UVLoop

/// Workers of libuv's pool that are kept busy until they are let go. The pool is one per process: who fills it does so
/// in an exit test.
final class HeldWorkers: Sendable {
  private let gate = Event("the release of held workers")
  private let tasks: [Task<Void, any Error>]

  /// Returns when all of them are held. Their labels are `holder 1`, `holder 2`, …
  init(_ count: Int, on loop: EventLoop) async throws {
    let begun = Event("the begin of held workers")
    let gate = gate
    tasks = (1...count).map { number in
      Task {
        try await loop.offload(label: "holder \(number)") {
          begun.signal()
          gate.waitBlocking(within: .seconds(60))
        }
      }
    }
    try await begun.wait(times: count)
  }

  /// Lets the workers go.
  func open() { gate.signal() }

  /// Lets the workers go and waits until their callers have been told.
  func release() async throws {
    open()
    for task in tasks { try await task.value }
  }
}

/// Tells when it has been released, to show that nothing keeps what captured it.
final class ReleaseWitness: Sendable {
  private let released: Event

  init(_ released: Event) { self.released = released }

  /// Something to call, so that a closure captures it.
  func touch() {}

  deinit { released.signal() }
}

/// The error of code that must fail with one of the library's.
func codeOfError(_ body: () async throws -> Void) async -> UVError.Code? {
  do { try await body() } catch { return (error as? UVError)?.code }
  return nil
}
