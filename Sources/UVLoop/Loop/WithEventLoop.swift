/// Makes a loop, runs `body` on it, and shuts it down, however `body` ends.
///
/// ```swift
/// try await withEventLoop { loop in
///   for try await tick in try loop.ticks(every: .seconds(1)) { print(tick) }
/// }
/// ```
///
/// - Parameters:
///   - options: How to make the loop.
///   - limit: How long the shutdown may take; see ``EventLoop/shutdown(within:)``. Its report is not handed out: to see
///     what was left, call `shutdown(within:)` at the end of `body`.
///   - body: Runs on the loop's thread, in a task that prefers the loop (see ``LoopTaskExecutor``).
/// - Returns: What `body` returns.
/// - Throws: What ``EventLoop/init(_:)`` throws, and what `body` throws, unchanged.
///
/// > Isolation: Call it from anywhere, also on another loop; the result arrives on the caller's isolation.
///
/// > Cancellation: `body` sees the cancellation of the calling task; the shutdown happens all the same.
public func withEventLoop<R>(
  _ options: EventLoop.Options = .init(), shutdownWithin limit: Duration? = nil,
  _ body: @Sendable (isolated EventLoop) async throws -> sending R
) async throws -> sending R {
  let loop = try EventLoop(options)
  let result: Result<Disconnected<R>, any Error>
  do {
    result = .success(Disconnected(try await loop.run(body)))
  } catch {
    result = .failure(error)
  }
  await loop.shutdown(within: limit)
  return try result.get().take()
}
