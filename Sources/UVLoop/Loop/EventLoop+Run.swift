// Reaching the loop from anywhere: post, run, task.

extension EventLoop {
  /// Runs `work` on the loop, soon and in order, and does not wait for it.
  ///
  /// Never inline: on the loop's own thread `work` starts after the current callback has returned. Calls of one thread
  /// keep their order, and so do calls of one task that moves between threads. Between two iterations the loop runs
  /// what was posted within a budget, so that work which posts itself again cannot starve timers and descriptors.
  ///
  /// The queue has no bound: who posts faster than the loop runs fills the memory. Where that can be, wait for an
  /// answer now and then, with `run` for instance.
  ///
  /// A closure that throws does not compile: nobody would get its error.
  ///
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun; then `work` is released and never runs. Work that
  ///   was accepted runs before `shutdown` returns.
  /// - Complexity: O(1), amortised over a queue that doubles; one system call where the loop sleeps, none while it is
  ///   awake.
  ///
  /// > Isolation: Call it from any thread. `work` is nonisolated to the compiler; take the loop as a parameter
  /// (`post { loop in … }`) to create handles there. It cannot capture what belongs to the loop: on the loop itself
  /// `schedule(after: .zero) { … }` can.
  ///
  /// > Ownership: `work` is kept until it has run, and released before anything else runs.
  public nonisolated func post(_ work: sending @escaping () -> Void) throws(UVError) {
    // Wrapped here: a closure that is handed on is retained once more, and the loop on another CPU may be running it.
    try core.post(.call(consume work))
  }

  /// Runs `body` on the loop and returns what it returns.
  ///
  /// On the loop itself this is a plain call: it causes no wake and no hop. The result may be of a type that is not
  /// `Sendable`, if the loop keeps nothing of it.
  ///
  /// Write `body` as a closure. The name of a function, or of a parameter that is one, does not compile, even where the
  /// result is `Sendable`: the compiler does not see there that the loop keeps nothing of it. In place of `run(body)`
  /// write `run { loop in try await body(loop) }`.
  ///
  /// After shutdown `body` still runs, on Swift's global pool, and its first call to the loop throws.
  ///
  /// - Throws: What `body` throws, unchanged.
  ///
  /// > Isolation: Call it from anywhere; the result arrives on the caller's isolation.
  ///
  /// > Cancellation: `body` sees `Task.isCancelled` of the calling task. Nothing else happens.
  public func run<R, E>(_ body: @Sendable (isolated EventLoop) throws(E) -> sending R) async throws(E) -> sending R {
    try body(self)
  }

  /// Runs an asynchronous `body` on the loop and returns what it returns.
  ///
  /// After each `await` in `body` the code is on the loop's thread again. For the length of `body` the task prefers the
  /// loop (see ``LoopTaskExecutor``), so that waits which the loop itself ends never leave its thread. Closures and
  /// results are as in the synchronous form, and so is what happens after shutdown.
  ///
  /// - Throws: What `body` throws, unchanged.
  ///
  /// > Isolation: Call it from anywhere; the result arrives on the caller's isolation.
  ///
  /// > Cancellation: `body` sees the cancellation of the calling task.
  public func run<R, E>(
    _ body: @Sendable (isolated EventLoop) async throws(E) -> sending R
  ) async throws(E) -> sending R {
    if let scope = WaitScope.open(on: core) { return try await run(in: scope, body).take() }
    return try await preferring(body).take()
  }

  /// Apart, since what it needs would be made for a task that has a scope as well.
  @inline(never)
  private func run<R, E>(
    in scope: WaitScope, _ body: @Sendable (isolated EventLoop) async throws(E) -> sending R
  ) async throws(E) -> Disconnected<R> {
    // Holds because it is written before the scope's `run` returns, and read after that.
    nonisolated(unsafe) var result: Result<Disconnected<R>, E>?
    await scope.run(isolation: self) {
      do throws(E) { unsafe result = .success(try await preferring(body)) } catch { unsafe result = .failure(error) }
    }
    return try unsafe given(result).get()
  }

  @inline(__always)
  private func preferring<R, E>(
    _ body: @Sendable (isolated EventLoop) async throws(E) -> sending R
  ) async throws(E) -> Disconnected<R> {
    try await withTaskExecutorPreference(taskExecutor) { () async throws(E) -> Disconnected<R> in
      Disconnected(try await body(self))
    }
  }

  /// Starts a task that belongs to the loop.
  ///
  /// It runs on the loop's thread, prefers the loop (see ``LoopTaskExecutor``), and ends with it: `shutdown` cancels it
  /// and waits for it. It begins soon; before or after what is posted next is not promised. Once shutdown has begun
  /// `operation` does not start, and the task ends with ``UVError/Code/loopClosed``.
  ///
  /// - Parameters:
  ///   - name: `Task.name` inside, and its name in a ``ShutdownReport``.
  ///   - priority: The task's priority. The loop runs jobs in the order of their arrival whatever it is.
  ///   - operation: Runs on the loop.
  ///
  /// > Isolation: Call it from any thread.
  ///
  /// > Cancellation: `operation` starts even when the task is cancelled before, as any task does.
  ///
  /// > Ownership: The task keeps the loop until it ends. An error that `operation` throws is kept for `task.value`.
  @discardableResult
  public nonisolated func task<R: Sendable>(
    name: String? = nil, priority: TaskPriority? = nil,
    operation: @Sendable @escaping (isolated EventLoop) async throws -> R
  ) -> Task<R, any Error> {
    requireOwnProcess()
    let id = core.tasks.register(name, .task)
    let task = Task(name: name, executorPreference: taskExecutor, priority: priority) {
      guard let id else { throw self.core.closedError("task") }
      self.core.noteStart(of: id, name)
      defer { self.core.tasks.unregister(id) }
      var result: Result<R, any Error>?
      await LoopTasks.$chain.withValue([id]) {
        await WaitScope.run(on: self.core) {
          do { result = .success(try await operation(self)) } catch { result = .failure(error) }
        }
      }
      return try given(result).get()
    }
    // Holds because a task is a job: a Task is one reference, to the object that the runtime runs.
    if let id { core.tasks.attach(id, job: unsafe unsafeBitCast(task, to: UInt.self)) { task.cancel() } }
    return task
  }

  /// Starts a task that belongs to the loop and cannot fail.
  ///
  /// Like the throwing form, but once shutdown has begun `operation` does run, cancelled from the start, on Swift's
  /// global pool if the loop has ended: a task that cannot fail has no other way to end.
  @discardableResult
  public nonisolated func task<R: Sendable>(
    name: String? = nil, priority: TaskPriority? = nil,
    operation: @Sendable @escaping (isolated EventLoop) async -> R
  ) -> Task<R, Never> {
    requireOwnProcess()
    let id = core.tasks.register(name, .task)
    let task = Task(name: name, executorPreference: taskExecutor, priority: priority) {
      guard let id else {
        // Here and not from outside, where it might come after the operation has begun.
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        return await operation(self)
      }
      self.core.noteStart(of: id, name)
      defer { self.core.tasks.unregister(id) }
      var result: R?
      await LoopTasks.$chain.withValue([id]) {
        await WaitScope.run(on: self.core) { result = await operation(self) }
      }
      return given(result)
    }
    // Holds because a task is a job: a Task is one reference, to the object that the runtime runs.
    if let id { core.tasks.attach(id, job: unsafe unsafeBitCast(task, to: UInt.self)) { task.cancel() } }
    return task
  }
}
