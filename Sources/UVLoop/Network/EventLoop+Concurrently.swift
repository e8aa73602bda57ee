extension EventLoop {
  /// Runs both at the same time, in the caller's isolation, and returns what they return.
  ///
  /// What belongs to the loop may be used in both, which the child tasks of a group do not allow. They take turns: one
  /// runs while the other waits. A caller without an isolation gets the loop's.
  ///
  /// ```swift
  /// let (up, down) = try await loop.concurrently({ try await a.copy(to: b) }) { try await b.copy(to: a) }
  /// ```
  ///
  /// - Throws: The first error of the two; the other one is cancelled then, and has ended before this throws.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Passed on to both.
  public func concurrently<A, B>(
    _ first: () async throws -> A, isolation: isolated (any Actor)? = #isolation, _ second: () async throws -> B
  ) async throws -> (A, B) {
    let actor: any Actor = isolation ?? self
    return try await withoutActuallyEscaping(first) { first in
      _ = isolation
      // Holds because both run in one isolation, the caller's, and have ended when this returns.
      let first = Disconnected(first)
      return try await withoutActuallyEscaping(second) { second in
        _ = isolation
        return try await EventLoop.runBoth(first, Disconnected(second), actor, core)
      }
    }
  }

  private static func runBoth<A, B>(
    _ first: Disconnected<() async throws -> A>,
    _ second: Disconnected<() async throws -> B>, _ isolation: any Actor, _ core: LoopCore
  ) async throws -> (A, B) {
    try await withThrowingTaskGroup(of: Part<A, B>.self) { group in
      group.addTask { .first(try await run(first, on: core, isolation: isolation)) }
      group.addTask { .second(try await run(second, on: core, isolation: isolation)) }
      var one: Disconnected<A>?
      var other: Disconnected<B>?
      for try await part in group {
        switch part {
        case .first(let value): one = value
        case .second(let value): other = value
        }
      }
      guard let one, let other else { throw CancellationError() }
      return (one.take(), other.take())
    }
  }

  /// In a scope of its own, since a child task has not that of its parent.
  private static func run<R>(
    _ body: Disconnected<() async throws -> R>, on core: LoopCore, isolation: isolated any Actor
  ) async throws -> Disconnected<R> {
    var result: Result<Disconnected<R>, any Error>?
    await WaitScope.run(on: core) {
      do { result = .success(Disconnected(try await unsafe body.value())) } catch { result = .failure(error) }
    }
    return try given(result).get()
  }
}

/// What one of two has returned.
private enum Part<A, B>: Sendable {
  case first(Disconnected<A>)
  case second(Disconnected<B>)
}
