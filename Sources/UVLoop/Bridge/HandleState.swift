// The life of a handle, as libuv lives it:
//
//   inactive          initialised, and idle: not started yet, stopped, or a one-shot that has fired
//   active            started: its callback may come
//   closing(closer)   `uv_close` was called, so no callback but the last comes any more; libuv still uses the memory
//   closed(closer)    the close callback came: the memory is ours to free
//
// From inactive and active to closing, exactly once, then to closed, and never back. Freeing before the close callback
// gives libuv a dangling pointer, closing twice aborts the process (`uv-common.c`, `core.c`), and so both are decided
// here and nowhere else.

/// Who closed a handle: that decides whether a later use is the owner's mistake, or the loop's end.
enum Closer: Hashable, Sendable {
  /// `close` was called, or the last reference went away.
  case owner
  /// The loop's shutdown closed it.
  case loop
}

/// The state of one handle; see the top of the file.
enum HandleState: Hashable, Sendable {
  case inactive
  case active
  case closing(Closer)
  case closed(Closer)

  /// Records a start, also of a handle that is active already; `false`, and no change, once closing or closed.
  mutating func activate() -> Bool {
    guard !isClosed else { return false }
    self = .active
    return true
  }

  /// Records a stop, or the firing of a one-shot; `true` if the handle was active. No change once closing or closed.
  mutating func deactivate() -> Bool {
    guard isActive else { return false }
    self = .inactive
    return true
  }

  /// Records the wish to close; `true` exactly once, for the one who must then call `uv_close`.
  mutating func close(by closer: Closer) -> Bool {
    guard !isClosed else { return false }
    self = .closing(closer)
    return true
  }

  /// Records libuv's close callback. It comes exactly once and only after `uv_close`; anything else traps.
  mutating func finish() {
    guard case .closing(let closer) = self else {
      preconditionFailure("a close callback came to a handle that was not closing: close handles through HandleState")
    }
    self = .closed(closer)
  }

  /// Whether `uv_close` was called: closing or closed.
  var isClosed: Bool { closer != nil }

  /// Whether the handle is started.
  var isActive: Bool { self == .active }

  /// Who closed the handle, `nil` while it is open.
  var closer: Closer? {
    switch self {
    case .inactive, .active: nil
    case .closing(let closer), .closed(let closer): closer
    }
  }
}
