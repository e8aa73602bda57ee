/// What a loop left behind when it ended.
///
/// After a clean end ``unfinished`` and ``foreignHandles`` are empty.
public struct ShutdownReport: Sendable, CustomStringConvertible {
  /// Something that had not ended when the time given by `within:` was over, or a call whose caller had abandoned it.
  public struct Unfinished: Sendable, Hashable {
    /// What it is.
    public enum Kind: String, Sendable {
      /// A task made with `EventLoop.task`. It was cancelled and still runs.
      case task
      /// An offloaded call that occupies a worker of its pool, or that never began, where that pool was shut down; or a
      /// piece of work of a ``ThreadActor``.
      case offload
      /// A request that libuv has not answered, for a task that has been told that the loop shuts down.
      case request
      /// A listener at which `serve` had not ended in time. It has been closed.
      case listener
      /// A stream that a task had which did not end in time. It has been closed.
      case stream
      /// A UDP socket that a task had which did not end in time. It has been closed.
      case socket
    }

    /// What it is.
    public let kind: Kind
    /// The name of the task, the label of the offloaded call, what the request is for, the listener's address, or the
    /// addresses of the stream or the socket.
    public let label: String?
    /// For how long it has been there: since the task was made, since the call began.
    public let age: Duration
    /// The pool of an offloaded call, where that is an ``OffloadPool``, or the ``OffloadThread``.
    public let pool: String?

    init(kind: Kind, label: String?, age: Duration, pool: String? = nil) {
      self.kind = kind
      self.label = label
      self.age = age
      self.pool = pool
    }
  }

  /// A handle that C code put on the loop and has not closed.
  public struct ForeignHandle: Sendable, Hashable, Codable {
    /// libuv's name of its kind, such as `timer`, `poll` or `tcp`; `request` for requests that C code made and that had
    /// not ended when the time was over, of which libuv keeps only the number.
    public let kind: String
    /// Its descriptor, where it has one.
    public let descriptor: Int32?
    /// Where its `uv_handle_t` lies, which is how its owner and a debugger know it; nil for requests.
    public let address: UInt?
    /// Whether it may call back.
    ///
    /// > libuv: `uv_is_active`.
    public let isActive: Bool
    /// Whether it keeps libuv's loop alive.
    ///
    /// > libuv: `uv_has_ref`.
    public let isReferenced: Bool
    /// Whether its owner has closed it, so that it goes in one of the next iterations. Such a one is in a
    /// ``LoopSnapshot``, and in no report.
    ///
    /// > libuv: `uv_is_closing`.
    public let isClosing: Bool

    init(
      kind: String, descriptor: Int32? = nil, address: UInt? = nil, isActive: Bool = true, isReferenced: Bool = true,
      isClosing: Bool = false
    ) {
      self.kind = kind
      self.descriptor = descriptor
      self.address = address
      self.isActive = isActive
      self.isReferenced = isReferenced
      self.isClosing = isClosing
    }

    /// What sets it apart from others of its kind, to follow that.
    var particulars: String {
      var text = address.map { " at 0x" + String($0, radix: 16) } ?? ""
      if let descriptor { text += ", descriptor \(descriptor)" }
      if isClosing { return text + ", closing" }
      if !isActive { text += ", inactive" }
      if !isReferenced { text += ", not referenced" }
      return text
    }
  }

  /// Tasks and offloaded calls that did not end in time, and calls that were abandoned. They go on: a task on Swift's
  /// global pool, a call on its worker. For the end of one on libuv's pool the loop's thread stays behind.
  public internal(set) var unfinished: [Unfinished] = []
  /// How many scheduled calls were dropped because they were not yet due.
  public internal(set) var droppedCalls = 0
  /// The handles of C neighbours, which are never closed for them. The loop's thread stays behind until they are gone.
  public internal(set) var foreignHandles: [ForeignHandle] = []
  /// From the first call of `shutdown` to the report.
  public internal(set) var duration: Duration = .zero

  init() {}

  /// How long the end took, and what was left behind, in one line.
  public var description: String {
    var lines: [String] = []
    for item in unfinished {
      lines.append(
        "unfinished \(item.kind.rawValue) \(item.label.map { "\"\($0)\"" } ?? "without a name")"
          + "\(item.pool.map { " on pool \"\($0)\"" } ?? ""), age \(item.age.text)")
    }
    for handle in foreignHandles {
      lines.append("foreign \(handle.kind) handle left open\(handle.particulars)")
    }
    if droppedCalls > 0 { lines.append("\(droppedCalls) scheduled call\(droppedCalls == 1 ? "" : "s") dropped") }
    let ending = lines.isEmpty ? "nothing left behind" : lines.joined(separator: "; ")
    return "ended in \(duration.text): \(ending)"
  }
}
