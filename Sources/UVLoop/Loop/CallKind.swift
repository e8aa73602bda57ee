/// What kind of thing a loop runs.
public struct CallKind: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
  /// The name of the kind.
  public let rawValue: String

  /// A kind with a name.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// A closure that was posted.
  public static let post = CallKind(rawValue: "post")
  /// A part of a task, from one `await` to the next.
  public static let task = CallKind(rawValue: "task")
  /// A call made with ``EventLoop/schedule(after:isolation:_:)``.
  public static let scheduledCall = CallKind(rawValue: "ScheduledCall")
  /// The callback of a ``UVLoop/TimerHandle``.
  public static let timerHandle = CallKind(rawValue: "TimerHandle")
  /// The callback of a ``UVLoop/AsyncHandle``.
  public static let asyncHandle = CallKind(rawValue: "AsyncHandle")
  /// The callback of a ``UVLoop/PollHandle``.
  public static let pollHandle = CallKind(rawValue: "PollHandle")
  /// The callback of a ``UVLoop/SignalHandle``.
  public static let signalHandle = CallKind(rawValue: "SignalHandle")
  /// The callback of a ``UVLoop/PrepareHandle``.
  public static let prepareHandle = CallKind(rawValue: "PrepareHandle")
  /// The callback of a ``UVLoop/CheckHandle``.
  public static let checkHandle = CallKind(rawValue: "CheckHandle")
  /// The callback of an ``UVLoop/IdleHandle``.
  public static let idleHandle = CallKind(rawValue: "IdleHandle")

  /// The name of the kind.
  public var description: String { rawValue }
}
