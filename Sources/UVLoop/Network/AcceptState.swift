#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a listener does next: accept, watch its socket, or leave it alone for a while.
///
///     watching ──readable──▶ accepting ──nothing waits, or enough for this iteration──▶ watching
///                            accepting ──out of descriptors or memory──▶ paused ──timer, or one came free──▶ accepting
///                            accepting ──the socket itself fails──▶ ended
///
/// Out of descriptors the socket stays readable, and watching it would use a CPU for nothing. So the listener pauses,
/// for 10 ms first and twice as long each time that did not help, at most for a second; connections wait in the queue.
struct AcceptState {
  enum Action: Equatable {
    /// Call `accept` now, and report what it returned.
    case accept
    /// Watch the socket until it is readable.
    case watch
    /// Watch nothing, and start a timer.
    case pause(Duration)
    /// The listening socket is of no more use, for the reason that the status says.
    case end(Int32)
  }

  private enum Phase { case watching, accepting, paused, ended }

  /// So many calls an iteration of the loop, so that others have their turn during a flood.
  static let budget = 64
  private static let shortestPause = Duration.milliseconds(10)
  private static let longestPause = Duration.seconds(1)

  /// Connections that were taken.
  private(set) var accepted = 0
  /// Connections that were lost before they could be taken.
  private(set) var failed = 0
  /// How often the listener has paused.
  private(set) var backOffs = 0

  private var phase = Phase.watching
  private var remaining = budget
  private var failuresInARow = 0
  private var delay = shortestPause

  /// The loop begins a new iteration of polling, in which the socket is readable.
  mutating func becameReadable() -> Action? {
    if phase != .watching { return nil }
    remaining = Self.budget
    return acceptAgain()
  }

  /// The timer of the last pause has run out.
  mutating func pauseEnded() -> Action? {
    if phase != .paused { return nil }
    remaining = Self.budget
    delay = min(delay * 2, Self.longestPause)
    return acceptAgain()
  }

  /// A descriptor of this program was closed. A pause ends, and so must its timer.
  ///
  /// Where somebody else was faster the next pause is as long as this one was.
  mutating func descriptorCameFree() -> Action? { phase == .paused ? acceptAgain() : nil }

  /// `accept` has returned a descriptor, or a negative errno.
  mutating func accepted(_ status: Int32) -> Action? {
    if phase == .ended { return nil }
    remaining -= 1
    switch Result(status) {
    case .connection:
      accepted += 1
      failuresInARow = 0
      delay = Self.shortestPause
    case .nothing:
      phase = .watching
      return .watch
    case .lostConnection:
      failed += 1
      failuresInARow += 1
      // No peer is that unlucky: it is the call that fails, and goes on to do so. A sandbox that forbids it says EPERM.
      if failuresInARow >= Self.budget { return pause() }
    case .exhausted:
      return pause()
    case .failure:
      phase = .ended
      return .end(status)
    }
    if remaining > 0 { return acceptAgain() }
    phase = .watching
    return .watch
  }

  /// Nobody wants a connection any more, in place of an `accept`.
  mutating func wasLeft() -> Action? {
    if phase != .accepting { return nil }
    phase = .watching
    return .watch
  }

  private mutating func acceptAgain() -> Action {
    phase = .accepting
    return .accept
  }

  private mutating func pause() -> Action {
    phase = .paused
    failuresInARow = 0
    backOffs += 1
    return .pause(delay)
  }

  /// What a status of `accept` means for the listener.
  private enum Result {
    case connection
    case nothing
    /// Of one connection; the next may be fine.
    case lostConnection
    /// Of this process, or of the machine; connections stay where they are.
    case exhausted
    /// Of the listening socket.
    case failure

    init(_ status: Int32) {
      self =
        switch -status {
        case ...0: .connection
        case EAGAIN, EWOULDBLOCK: .nothing
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: .exhausted
        // Linux returns what the network has reported of the new connection, as if it were of the call (accept(2)).
        case ECONNABORTED, ECONNRESET, EPROTO, EINTR, EPERM, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH,
          ENOPROTOOPT, EOPNOTSUPP, EPROTONOSUPPORT, ESOCKTNOSUPPORT, ETIMEDOUT:
          .lostConnection
        default: Self.isLinuxOnly(-status) ? .lostConnection : .failure
        }
    }

    private static func isLinuxOnly(_ error: Int32) -> Bool {
      #if os(Linux)
        error == ENONET
      #else
        false
      #endif
    }
  }
}
