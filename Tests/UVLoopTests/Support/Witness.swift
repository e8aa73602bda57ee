@testable import UVLoop

/// Something to capture, which tells when it is released, on whatever thread.
final class Witness: Sendable {
  private let gone: Counter

  init(_ gone: Counter) { self.gone = gone }

  deinit { gone.add() }

  /// For closures that only want to hold it.
  func hold() {}
}

/// Occupies the calling thread for at least so long.
func spin(for duration: Duration) {
  let end = MonotonicClock.now(plus: duration)
  while MonotonicClock.now() < end {}
}

/// Lets the loop go round so often, polls included.
func iterate(_ loop: isolated EventLoop, times: Int = 5) async throws {
  for _ in 0..<times { try await loop.sleep(for: .zero) }
}
