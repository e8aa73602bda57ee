extension EventLoop {
  /// Lends the `uv_loop_t` to C code.
  ///
  /// ```swift
  /// loop.withUnsafeLoop { redisLibuvAttach(context, $0.assumingMemoryBound(to: uv_loop_t.self)) }
  /// ```
  ///
  /// The type comes from a module of yours, since this library exports none of libuv's names: a system library target
  /// with a header that includes `uv.h`, `pkgConfig: "libuv"`, and `link "uv"` in its module map.
  ///
  /// What C code puts on the loop stays its own: `shutdown` reports it and never closes it. `loop->data` is free for C
  /// code. After shutdown the pointer is still given, so that owners can close; it is valid for as long as anything
  /// keeps the loop. Do not run, stop or close the loop, and start nothing on it after shutdown.
  ///
  /// - Throws: What `body` throws, unchanged.
  ///
  /// > Isolation: On the loop only; does not compile elsewhere. From an actor of another loop it traps, and from one
  /// that names a loop and does not run there.
  public func withUnsafeLoop<R, E>(
    isolation: isolated any LoopActor = #isolation, _ body: (UnsafeMutableRawPointer) throws(E) -> R
  ) throws(E) -> R {
    requireOwnProcess()
    if !core.isIsolating { core.trapOffLoop("withUnsafeLoop", "Call it from code that is isolated to that loop.") }
    if !core.isExecutor(of: isolation) {
      fatalError("UVLoop: \(core.strangerError(isolation, "withUnsafeLoop").message)")
    }
    return try unsafe body(UnsafeMutableRawPointer(core.rawLoop.loop))
  }
}
