import Testing

@testable import UVLoop

/// Every kind of request of the library, and one as it is added, for laws that hold for all of them.
enum Requesting: String, CaseIterable, CustomTestStringConvertible, Codable, Sendable {
  /// The pool's runner, by which a call is offloaded.
  case work
  case random

  var testDescription: String { rawValue }

  /// Asks for one thing, and keeps the witness for as long as libuv might use it.
  func ask(_ loop: EventLoop, keeping witness: Witness? = nil) async throws {
    switch self {
    case .work: try await loop.offload(label: rawValue) { [witness] in _ = witness }
    case .random: _ = try await loop.random(8, keeping: witness)
    }
  }

  /// Whether a shutdown runs what was accepted. If not it ends the wait.
  var isRunByShutdown: Bool { self == .work }

  /// Whether snapshots list the calls that it runs in its place.
  var isListedAsCall: Bool { self == .work }

  /// Whether libuv has a request of this kind.
  func isInFlight(on loop: EventLoop) async -> Bool {
    await loop.run { $0.core.requests.inFlight.contains { $0.kind.rawValue == rawValue } }
  }
}
