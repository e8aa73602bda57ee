/// A hook of a loop's shutdown that can be taken back, as ``EventLoop/onShutdown(isolation:_:)`` gave it.
///
/// For clients that come and go on a loop that stays:
///
/// ```swift
/// hook = try loop.onShutdown { client.disconnect() }
/// … // and when the client has gone:
/// hook.cancel()
/// ```
///
/// > Isolation: Belongs to its loop; nothing of it compiles elsewhere. A call that reaches it off the loop through
/// unsafe code traps, until the loop has ended.
///
/// > Ownership: The loop keeps it, and its closure, until it has run or was cancelled. Dropping this object cancels
/// nothing.
public final class ShutdownHook {
  private let loop: LoopCore
  fileprivate var body: (() -> Void)?
  // Two references that keep each other: the list lets go of both, at the latest at shutdown, which always comes.
  fileprivate var older: ShutdownHook?
  fileprivate var newer: ShutdownHook?

  init(on loop: LoopCore, _ body: @escaping () -> Void) {
    self.loop = loop
    self.body = body
    loop.shutdown.hooks.append(self)
  }

  /// Keeps it from running, and releases its closure now. Once it has run or runs, and twice, it does nothing; another
  /// hook may cancel one that has yet to run.
  public func cancel() {
    // By then every hook has run.
    if loop.life.state == .stopped { return }
    loop.requireCurrent(
      "ShutdownHook.cancel", instead: "Use `loop.post { … }` or `await loop.run { loop in … }` there.")
    // Released when the list is in order: what it held may call back into it.
    let body = loop.shutdown.hooks.remove(self)
    _ = consume body
  }
}

/// The hooks of a loop that have yet to run, in the order of their making.
///
/// A chain and not an array, so that one in the middle goes at once and leaves no gap.
struct ShutdownHooks {
  private var newest: ShutdownHook?

  fileprivate mutating func append(_ hook: ShutdownHook) {
    hook.older = newest
    newest?.newer = hook
    newest = hook
  }

  /// Hands out what it would run; nil if it is not here any more.
  fileprivate mutating func remove(_ hook: ShutdownHook) -> (() -> Void)? {
    guard let body = hook.body.take() else { return nil }
    hook.older?.newer = hook.newer
    if let newer = hook.newer { newer.older = hook.older } else { newest = hook.older }
    hook.older = nil
    hook.newer = nil
    return body
  }

  /// The youngest, which is in the list no more.
  mutating func popLast() -> (() -> Void)? { newest.flatMap { remove($0) } }
}
