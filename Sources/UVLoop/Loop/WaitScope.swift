import CLibUV
import Synchronization

// To hear of a cancellation costs more than the rest of a wait on the loop. A task that waits often hears of it once,
// in a scope around all that it does, and each wait that begins on the loop says there that it is the one to be ended.
// So does an offloaded call that comes back to the loop.
//
// The scope must be that of the very task that waits. A thread may run one task inside another's job, and so the loop
// asks the runtime which one calls. A task is known by the address of the runtime's object, which is used again when it
// has ended. But its scope is over before: as long as it is not, the task lives, and no other has the address.

/// What ends when the task is cancelled that waits for it. Called on the loop's thread.
protocol ScopedWait: AnyObject, Sendable {
  func cancel()
}

/// The cancellation of one task, for its waits on one loop. What it keeps of them belongs to the loop's thread.
final class WaitScope: @unchecked Sendable {  // Holds because of the line above, and `isOver` is atomic.
  fileprivate let loop: LoopCore
  fileprivate let task: UInt
  fileprivate let isOver = Atomic(false)
  /// What a cancellation ends. The task that waits for it keeps it, and it leaves before that task lets go of it.
  /// Belongs to the loop's thread.
  unowned(unsafe) var waiting: (any ScopedWait)?

  fileprivate init(_ loop: LoopCore, _ task: UInt) {
    self.loop = loop
    self.task = task
  }

  // MARK: On any thread

  /// Runs `body` in a scope of the calling task's. Where it has one already, and where it is not on the loop, none is
  /// opened.
  @inline(__always)
  static func run(
    on loop: LoopCore, isolation: isolated (any Actor)? = #isolation, _ body: () async -> Void
  ) async {
    if let scope = open(on: loop) { await scope.run(body) } else { await body() }
  }

  /// Runs `body` in this scope, which the calling task has just opened, and closes it.
  ///
  /// It returns nothing and throws nothing, since a generic one costs more than the whole scope.
  @inline(__always)
  func run(isolation: isolated (any Actor)? = #isolation, _ body: () async -> Void) async {
    await withTaskCancellationHandler {
      _ = isolation
      await body()
    } onCancel: {
      cancel()
    }
    close()
  }

  /// Opens one for the calling task, to run something in it; nil where it has one, and where it is not on the loop.
  static func open(on loop: LoopCore) -> WaitScope? {
    if !loop.isCurrent { return nil }
    let task = currentTask
    if loop.waits.scopes.scope(of: task) != nil { return nil }
    let scope = WaitScope(loop, task)
    loop.waits.scopes.add(scope)
    return scope
  }

  /// Whether it is the calling task's.
  @inline(__always)
  var isCurrent: Bool { task == WaitScope.currentTask && !isOver.load(ordering: .acquiring) }

  /// The task waits no more in here.
  func close() {
    isOver.store(true, ordering: .releasing)
    if loop.isIsolating { loop.waits.scopes.remove(self) } else { loop.enqueue { self.loop.waits.scopes.remove(self) } }
  }

  /// The task was cancelled, on any thread. A wait that begins later sees that by itself.
  func cancel() { loop.onLoop { unsafe self.waiting?.cancel() } }

  /// Zero outside of tasks, where nobody waits.
  static var currentTask: UInt { UInt(bitPattern: unsafe clibuv_current_task()) }

  /// `Task.checkCancellation`, for what is called again and again.
  @inline(__always)
  static func checkCancellation() throws {
    guard let task = unsafe clibuv_current_task() else { return }
    if unsafe clibuv_task_is_cancelled(task) { throw CancellationError() }
  }
}

/// What a scope's body has given: the scope returns when that has ended.
func given<Value>(_ value: Value?) -> Value {
  guard let value else { fatalError("UVLoop: a scope has returned, and its body has given nothing.") }
  return value
}

/// The scopes of the tasks that are on a loop. Belongs to the loop's thread.
final class WaitScopes {
  private var scopes: [UInt: WaitScope] = [:]
  /// The one that was asked for last: a task that waits often waits again.
  private var last: WaitScope?
  /// What is kept for good after a burst.
  private static let keptCapacity = 4_096

  // MARK: On the loop

  /// The scope of the calling task.
  var current: WaitScope? { scopes.isEmpty ? nil : scope(of: WaitScope.currentTask) }

  fileprivate func scope(of task: UInt) -> WaitScope? {
    if let last, last.task == task, !last.isOver.load(ordering: .acquiring) { return last }
    guard let found = scopes[task], !found.isOver.load(ordering: .acquiring) else { return nil }
    last = found
    return found
  }

  fileprivate func add(_ scope: WaitScope) {
    scopes[scope.task] = scope
    last = scope
  }

  fileprivate func remove(_ scope: WaitScope) {
    if last === scope { last = nil }
    // The address may belong to another task by now, which has opened its own.
    if scopes[scope.task] === scope { scopes[scope.task] = nil }
    scopes.giveBackMemory(above: WaitScopes.keptCapacity)
  }

  /// At the end of the loop, when no wait begins any more.
  func removeAll() {
    last = nil
    scopes = [:]
  }
}
