/// Runs the tasks that prefer a pool on that pool's threads.
///
/// ```swift
/// Task(name: "import", executorPreference: pool.taskExecutor) { … }
/// ```
///
/// Everything in such a task that has no other place to be runs there, and may block: code between its waits, child
/// tasks, `async let`, methods of default actors. Its jobs cannot be refused. They pass by the pool's `queueLimit`, and
/// ``OffloadPool/Statistics`` counts them apart. They have no label: the runtime tells an executor
/// nothing of the task whose job it gets. After the pool's shutdown they run on Swift's global pool. Nor are
/// they refused where they could never begin: a call that holds the pool's only thread, and waits in `runBlocking` for
/// such a task, waits for ever.
///
/// > Ownership: It keeps the pool's threads. A task keeps the executor that it prefers.
public final class OffloadPoolExecutor: TaskExecutor {
  private let lease: WorkerPoolLease

  init(_ lease: WorkerPoolLease) { self.lease = lease }

  /// For the Swift runtime: takes a job of a task that prefers the pool.
  public func enqueue(_ job: consuming ExecutorJob) {
    // Once the job is in line a worker may run it to its end, and then nobody may keep this executor.
    let kept = unsafe Unmanaged.passRetained(lease)
    defer { unsafe kept.release() }
    let job = UnownedJob(job)
    let call = Offload(in: lease.pool, label: nil, isTaskJob: true) { _ in
      unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
    }
    do { _ = try lease.pool.add(call) } catch { call.refuse(error) }
  }

  /// For the Swift runtime: a reference that keeps nothing.
  public func asUnownedTaskExecutor() -> UnownedTaskExecutor { unsafe UnownedTaskExecutor(ordinary: self) }
}

/// Keeps a pool open: the last one to go lets its threads end after their work.
final class WorkerPoolLease: Sendable {
  let pool: WorkerPool

  init(_ pool: WorkerPool) { self.pool = pool }

  /// In the child of a fork its lock may be somebody's who is not there.
  deinit { if pool.isOwnProcess { pool.close() } }
}
