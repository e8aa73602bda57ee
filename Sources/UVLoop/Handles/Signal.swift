import CLibUV

/// A signal of the operating system, by its number.
public struct Signal: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The system's number.
  public let rawValue: Int32

  /// A signal by its number. ``SignalHandle`` says which ones can be watched.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The terminal hung up. Daemons take it as *read your configuration again*. `SIGHUP`.
  public static let hangup = Signal(rawValue: SIGHUP)
  /// Ctrl-C. `SIGINT`.
  public static let interrupt = Signal(rawValue: SIGINT)
  /// `Ctrl-\`, which by default ends the process with a core dump. `SIGQUIT`.
  public static let quit = Signal(rawValue: SIGQUIT)
  /// The polite request to end. `SIGTERM`.
  public static let terminate = Signal(rawValue: SIGTERM)
  /// For the program to define. `SIGUSR1`.
  public static let user1 = Signal(rawValue: SIGUSR1)
  /// For the program to define. `SIGUSR2`.
  public static let user2 = Signal(rawValue: SIGUSR2)
  /// A write to a pipe or socket that nobody reads. `SIGPIPE`.
  public static let brokenPipe = Signal(rawValue: SIGPIPE)
  /// The timer of `alarm`. `SIGALRM`.
  public static let alarm = Signal(rawValue: SIGALRM)
  /// The terminal has another size. `SIGWINCH`.
  public static let windowChange = Signal(rawValue: SIGWINCH)
  /// Stopped from the terminal, Ctrl-Z. `SIGTSTP`.
  public static let terminalStop = Signal(rawValue: SIGTSTP)
  /// A socket has urgent data; ignored by default. `SIGURG`.
  public static let urgentData = Signal(rawValue: SIGURG)
  /// Goes on after a stop. `SIGCONT`.
  public static let resume = Signal(rawValue: SIGCONT)
  /// A child has ended. Cannot be watched: libuv needs it. `SIGCHLD`.
  public static let child = Signal(rawValue: SIGCHLD)
  /// Ends the process. Cannot be watched. `SIGKILL`.
  public static let kill = Signal(rawValue: SIGKILL)
  /// Stops the process. Cannot be watched. `SIGSTOP`.
  public static let stop = Signal(rawValue: SIGSTOP)

  /// The C name, or the number where there is none.
  public var description: String {
    let names: [Signal: String] = [
      .hangup: "SIGHUP", .interrupt: "SIGINT", .quit: "SIGQUIT", .terminate: "SIGTERM", .user1: "SIGUSR1",
      .user2: "SIGUSR2", .brokenPipe: "SIGPIPE", .alarm: "SIGALRM", .windowChange: "SIGWINCH",
      .terminalStop: "SIGTSTP", .urgentData: "SIGURG", .resume: "SIGCONT", .child: "SIGCHLD", .kill: "SIGKILL",
      .stop: "SIGSTOP",
    ]
    return names[self] ?? "signal \(rawValue)"
  }

  /// Refuses the signals that cannot be watched, or must not be.
  func requireWatchable(_ call: String) throws(UVError) {
    let reason: String?
    switch rawValue {
    case SIGKILL, SIGSTOP:
      reason = "the kernel lets nobody watch it"
    case SIGCHLD:
      reason = "libuv itself watches it for the processes that it starts"
    case SIGSEGV, SIGBUS, SIGFPE, SIGILL:
      reason = "it means that an instruction failed, and to return from its handler runs that instruction again"
    case ..<1:
      reason = "signals begin at 1"
    case 65...:
      reason = "there is no such signal"
    case 32, 33:
      // The C library's thread cancellation and setuid; `sigaction` refuses them on Linux.
      #if os(Linux)
        reason = "the C library uses it for its threads"
      #else
        reason = nil
      #endif
    default:
      reason = nil
    }
    if let reason {
      throw UVError(
        status: Int32(UV_EINVAL.rawValue), call: call, hint: "\(self) cannot be watched: \(reason).")
    }
  }
}
