import Synchronization

// To hear of a cancellation costs more than the rest of a wait on the loop. A task that waits often hears of it once, in
// a scope around all that it does, and each wait that begins on the loop says there that it is the one to be ended.
//
// The scope must be that of the very task that waits. What runs in a task sees the task's locals, and so do tasks that it
// starts: so a scope knows its task, by the address of the runtime's object. That address is used again when the task has
// ended, but the scope is over before: as long as it is not, its task lives, and no other has the address.

/// The cancellation of one task, for its waits on one loop. Belongs to the loop's thread, but for its end.
final class WaitScope: @unchecked Sendable {  // Holds because of the line above, and `isOver` is atomic.
  @TaskLocal private static var inherited: WaitScope?

  private let core: LoopCore
  private let task: UInt
  private let isOver = Atomic(false)
  /// The wait that a cancellation ends.
  var waiting: (any Wait)?

  private init(_ core: LoopCore, _ task: UInt) {
    self.core = core
    self.task = task
  }

  /// On the loop: the scope of the calling task, if it has one there.
  static func current(on core: LoopCore) -> WaitScope? {
    guard let scope = inherited, scope.core === core, !scope.isOver.load(ordering: .acquiring),
      scope.task == currentTask
    else { return nil }
    return scope
  }

  /// Runs `body` with a scope, unless the calling task has one.
  static func open<R, E>(
    on core: LoopCore, isolation: isolated (any Actor)? = #isolation, _ body: () async throws(E) -> R
  ) async throws(E) -> R {
    if current(on: core) != nil { return try await body() }
    let scope = WaitScope(core, currentTask)
    let result: Result<R, E> = await $inherited.withValue(scope) {
      await withTaskCancellationHandler {
        _ = isolation
        do throws(E) { return .success(try await body()) } catch { return .failure(error) }
      } onCancel: {
        scope.cancel()
      }
    }
    scope.isOver.store(true, ordering: .releasing)
    return try result.get()
  }

  /// The task was cancelled, on any thread. A wait that begins later sees that by itself.
  private func cancel() { core.onLoop { self.waiting?.cancel() } }

  /// Zero outside of tasks, where nobody waits.
  static var currentTask: UInt {
    // Holds because it is one reference, to the object that the runtime runs.
    unsafe withUnsafeCurrentTask { unsafe $0.map { unsafe unsafeBitCast($0, to: UInt.self) } ?? 0 }
  }
}
