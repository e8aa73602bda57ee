import Testing

@testable import UVLoop

@Suite(.sideBySide) struct PublicErrorTests {
  @Test func `H-03 of all types of the library, public or not, only UVError is an error`() async throws {
    let errors = try await SymbolGraph.ofLibrary("private").relationships
      .filter { $0.kind == "conformsTo" && $0.target == "s:s5ErrorP" }.map(\.source)
    #expect(errors == ["s:6UVLoop7UVErrorV"])
  }

  @Test func `H-03 a call that the library refuses throws a UVError`() async throws {
    let refused: [@Sendable (isolated EventLoop) async throws -> Void] = [
      { _ in _ = try EventLoop(.init(name: "")) },
      { loop in _ = try loop.ticks(every: .zero) },
      { loop in _ = try loop.signals() },
      { loop in _ = try loop.signals(.kill) },
      { loop in _ = try SignalHandle(.stop) },
      { loop in _ = try PollHandle(descriptor: -1) },
      { loop in try TimerHandle().again() },
      { loop in try await loop.withTimeout(.zero) {} },
      { loop in try ThreadPool.setSize(0) },
      { loop in try await loop.advance(by: .seconds(-1)) },
      { loop in try await loop.runUntilIdle() },
    ]
    try await withTestLoop { loop, _ in
      for (number, call) in refused.enumerated() {
        await #expect(throws: UVError.self, "call \(number)") { try await loop.run { try await call($0) } }
      }
    }
  }

  @Test func `H-03 a wait of the library's in a cancelled task throws a CancellationError`() async throws {
    let waits: [@Sendable (isolated EventLoop) async throws -> Void] = [
      { loop in try await loop.sleep(for: .seconds(1_000)) },
      { loop in try await loop.offload {} },
      { loop in try await loop.withTimeout(.seconds(1_000)) {} },
      { loop in try await Promise<Void>().value() },
      { loop in try await loop.advance(by: .seconds(1_000)) },
    ]
    try await withTestLoop { loop, _ in
      for (number, wait) in waits.enumerated() {
        let task = loop.task { loop in
          unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
          try await wait(loop)
        }
        await #expect(throws: CancellationError.self, "wait \(number)") { try await task.value }
      }
    }
  }
}
