/// Carries a value that is not `Sendable` across a place where the region checker loses sight of it.
///
/// Holds because each use hands the value over whole: the giver never touches it again, and the handing over itself
/// (a lock, a queue, the end of a task) orders its memory.
struct Disconnected<Value>: @unchecked Sendable {
  nonisolated(unsafe) let value: Value  // Holds for the reason above.

  init(_ value: Value) { unsafe self.value = value }

  consuming func take() -> sending Value { unsafe value }
}

/// The result of a task, for another one that waits for it.
final class TaskResult<R>: Sendable {
  let value: Result<Disconnected<R>, any Error>

  init(_ value: Result<Disconnected<R>, any Error>) { self.value = value }
}
