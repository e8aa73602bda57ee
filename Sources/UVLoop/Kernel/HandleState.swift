// The life of a handle, as libuv lives it:
//
//   open([])          initialised, and inactive: not started yet, stopped, or a one-shot that has fired
//   open(reasons)     active, for these reasons: its callback may come
//   closing(reason)   `uv_close` was called, so no callback but the last comes any more; libuv still uses the memory
//   closed(reason)    the close callback came: the memory is ours to free
//
// From open to closing, exactly once, then to closed, and never back. Freeing before the close callback
// gives libuv a dangling pointer, closing twice aborts the process (`uv-common.c`, `core.c`), and so both are decided
// here and nowhere else.

/// Who closed a handle: that decides whether a later use is the owner's mistake, or the loop's end.
enum CloseReason: Hashable, Sendable {
  /// `close` was called, or the last reference went away.
  case owner
  /// The loop's shutdown closed it.
  case loop
}

/// Why a handle is active. A kind that can be active for several reasons at once has one for each, in its own file.
struct HandleActivity: OptionSet, Hashable, Sendable {
  let rawValue: UInt8

  /// It has been started.
  static let started = HandleActivity(rawValue: 1)
}

/// The state of one handle; see the top of the file.
enum HandleState: Hashable, Sendable {
  case open(HandleActivity)
  case closing(CloseReason)
  case closed(CloseReason)

  static let inactive = HandleState.open([])

  /// Records a reason to be active, also one that it has already; `false`, and no change, once closing or closed.
  mutating func activate(_ reason: HandleActivity) -> Bool {
    guard case .open(let reasons) = self else { return false }
    self = .open(reasons.union(reason))
    return true
  }

  /// Records that a reason has gone: a stop, or the firing of a one-shot. `true` if it was the last one, and the handle
  /// is inactive now. No change once closing or closed.
  mutating func deactivate(_ reason: HandleActivity) -> Bool {
    guard case .open(let reasons) = self, isActive else { return false }
    self = .open(reasons.subtracting(reason))
    return !isActive
  }

  /// Records the wish to close; `true` exactly once, for the one who must then call `uv_close`.
  mutating func close(by closeReason: CloseReason) -> Bool {
    guard !isClosed else { return false }
    self = .closing(closeReason)
    return true
  }

  /// Records libuv's close callback. It comes exactly once and only after `uv_close`; anything else traps.
  mutating func finish() {
    guard case .closing(let closeReason) = self else {
      preconditionFailure("a close callback came to a handle that was not closing: close handles through HandleState")
    }
    self = .closed(closeReason)
  }

  /// Whether `uv_close` was called: closing or closed.
  var isClosed: Bool { closeReason != nil }

  /// Whether the handle has a reason to be active.
  var isActive: Bool { !activity.isEmpty }

  /// The reasons for which it is active; none once closing or closed.
  var activity: HandleActivity { if case .open(let reasons) = self { reasons } else { [] } }

  /// Who closed the handle, `nil` while it is open.
  var closeReason: CloseReason? {
    switch self {
    case .open: nil
    case .closing(let closeReason), .closed(let closeReason): closeReason
    }
  }
}
