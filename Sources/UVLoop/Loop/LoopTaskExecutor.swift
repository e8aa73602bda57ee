/// Runs the tasks that prefer a loop on that loop's thread.
///
/// ```swift
/// Task(executorPreference: loop.taskExecutor) { … }
/// await withTaskExecutorPreference(loop.taskExecutor) {
///   …
/// }
/// ```
///
/// Everything in such a task that has no other place to be runs on the loop: code after an `await`, child tasks,
/// `async let`, methods of default actors. That is cheap for code that talks to the loop, and wrong for code that
/// computes: CPU work belongs in `EventLoop.offload`. A `Task { }` made inside does not inherit the preference.
///
/// > Ownership: It does not keep the `EventLoop`. After shutdown its tasks still run, one job at a time, on
/// Swift's global pool.
public final class LoopTaskExecutor: TaskExecutor {
  private let core: LoopCore

  init(_ core: LoopCore) { self.core = core }

  /// For the Swift runtime: takes a job of a task that prefers the loop.
  public func enqueue(_ job: consuming ExecutorJob) { core.enqueue(.job(UnownedJob(job), .task)) }

  /// For the Swift runtime: a reference that keeps nothing.
  public func asUnownedTaskExecutor() -> UnownedTaskExecutor { unsafe UnownedTaskExecutor(ordinary: self) }
}
