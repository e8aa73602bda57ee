import Testing

@testable import UVLoop

/// When what an offloaded call captured goes away, and where.
@Suite(.sideBySide) struct OffloadCapturesTests {
  private struct Broken: Error {}

  /// Says on which side it went.
  private final class Captured {
    private let loop: EventLoop
    private let place: Shared<String>
    init(_ loop: EventLoop, _ place: Shared<String>) { (self.loop, self.place) = (loop, place) }
    func hold() {}
    deinit { place.value = loop.isCurrent ? "loop" : "worker" }
  }

  private static func call(
    _ loop: EventLoop, _ place: Shared<String>, _ onCancel: OffloadCancellation, fails: Bool,
    isolation: isolated any LoopActor = #isolation
  ) async throws {
    try await loop.offload(onCancel: onCancel) { [captured = Captured(loop, place)] in
      captured.hold()
      if fails { throw Broken() }
    }
  }

  @Test(arguments: [false, true])
  func `what a call captured goes away where its caller goes on, and before it does`(fails: Bool) async throws {
    try await onTestLoop { loop, calls in
      for _ in 0..<100 {
        let place = Shared("nowhere")
        do { try await Self.call(loop, place, .wait, fails: fails) } catch is Broken {}
        #expect(place.value == "loop")
      }
    }
  }

  @Test(arguments: [false, true])
  func `what a call captured that may be abandoned goes away on the worker, before its caller goes on`(
    fails: Bool
  ) async throws {
    try await onTestLoop { loop, calls in
      for _ in 0..<100 {
        let place = Shared("nowhere")
        do { try await Self.call(loop, place, .abandon, fails: fails) } catch is Broken {}
        #expect(place.value == "worker")
      }
    }
  }
}
