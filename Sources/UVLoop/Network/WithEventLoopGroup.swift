/// Makes a group of loops, runs `body`, and shuts the loops down, however `body` ends.
///
/// ```swift
/// try await withEventLoopGroup(count: 4) { group in
///   let listener = try await group.listen(on: .allInterfaces(port: 7_000))
///   try await listener.serve { _, stream in try await stream.copy(to: stream) }
/// }
/// ```
///
/// - Parameters:
///   - count: How many loops; nil for one for each CPU that this process may use.
///   - options: How to make each loop; see ``EventLoopGroup/init(count:_:)``.
///   - limit: How long the shutdown of each may take; see ``EventLoop/shutdown(within:)``. The reports are not handed
///     out: to see what was left, call ``EventLoopGroup/shutdown(within:)`` at the end of `body`.
///   - body: Runs where the caller runs, on none of the loops. `loop.run { }` and
///     ``Listener/serve(limit:closeTimeout:onFailure:_:)`` bring code there.
/// - Returns: What `body` returns.
/// - Throws: What ``EventLoopGroup/init(count:_:)`` throws, and what `body` throws, unchanged.
///
/// > Isolation: Call it from anywhere; `body` runs in the caller's isolation.
///
/// > Cancellation: `body` sees the cancellation of the calling task; the shutdown happens all the same.
public nonisolated(nonsending) func withEventLoopGroup<R>(
  count: Int? = nil, _ options: EventLoop.Options = .init(), shutdownWithin limit: Duration? = nil,
  _ body: (EventLoopGroup) async throws -> R
) async throws -> R {
  let group = try EventLoopGroup(count: count, options)
  let result: Result<R, any Error>
  do {
    result = .success(try await body(group))
  } catch {
    result = .failure(error)
  }
  await group.shutdown(within: limit)
  return try result.get()
}
