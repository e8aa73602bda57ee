/// What is on a loop at one moment, as ``EventLoop/snapshot()`` and ``EventLoop/snapshotFromOutside(timeout:)`` tell.
///
/// Its ``description`` answers what keeps the loop busy.
public struct LoopSnapshot: Sendable, Codable {
  /// A thread, as libuv, the kernel and a person name it.
  public struct Thread: Sendable, Hashable, Codable {
    /// Its `uv_thread_t`.
    public let id: UInt
    /// The kernel's number of it.
    public let kernelID: UInt64
    /// The kernel's name of it, at most 15 bytes on Linux.
    public let name: String
  }

  /// What runs.
  public struct Running: Sendable, Codable {
    /// What kind of thing it is.
    public let kind: CallKind
    /// The name of the task, where it has one.
    public let label: String?
    /// For how long it has run.
    public let age: Duration
  }

  /// A handle that is open, or whose memory libuv still uses.
  public struct Handle: Sendable, Codable {
    /// The name of its type, such as `TimerHandle`.
    public let kind: String
    /// What it does.
    public let state: HandleState
    /// Whether it keeps libuv's loop alive.
    ///
    /// > libuv: `uv_has_ref`.
    public let isReferenced: Bool
    /// How long until it calls, in whole milliseconds, for a timer that runs.
    public let dueIn: Duration?
    /// What it watches, for a handle that watches a descriptor.
    public let descriptor: Int32?
    /// Where it was made; nil unless the loop is in debug mode.
    public let site: StackTrace?
  }

  /// What a handle does.
  public enum HandleState: String, Sendable, Codable {
    /// It has not been started, or has been stopped, or has fired.
    case inactive
    /// It may call back.
    case active
    /// It has been closed, and its memory is about to be freed.
    case closing
  }

  /// A task or a call that waits for its time.
  public struct Wait: Sendable, Codable {
    /// How long until then, in the loop's time; less than zero if it is late.
    public let dueIn: Duration
    /// Where it was asked for; nil unless the loop is in debug mode, and for a task.
    public let site: StackTrace?
  }

  /// A task of the loop.
  public struct Task: Sendable, Codable {
    /// The name given to ``EventLoop/task(name:priority:operation:)-5ghw1``.
    public let name: String?
    /// Since it was made.
    public let age: Duration
  }

  /// An offloaded call.
  public struct Offload: Sendable, Codable {
    /// The label given to `offload`.
    public let label: String?
    /// For how long it has waited, or run.
    public let age: Duration
    /// The name of its pool; nil for libuv's.
    public let pool: String?
    /// The name of its lane, where it has one.
    public let lane: String?
  }

  /// A stream that is open.
  public struct Stream: Sendable, Codable {
    /// The name of its type, such as `TCPStream`.
    public let kind: String
    /// The address of this end, where it has one.
    public let localAddress: String?
    /// The address of the other end, where it has one.
    public let peerAddress: String?
    /// Whether a task waits for bytes.
    public let isReading: Bool
    /// How many bytes wait to be taken by the kernel: somebody waits for that, unless they were enqueued.
    public let queuedBytes: Int
    /// How many bytes it has read from its socket.
    public let bytesRead: Int64
    /// How many bytes the kernel has taken from it.
    public let bytesWritten: Int64
  }

  /// A listener that is open.
  public struct Listener: Sendable, Codable {
    /// Where it listens.
    public let address: String
    /// How many connections there have been, and are.
    public let statistics: ListenerStatistics
  }

  /// A UDP socket that is open.
  public struct Socket: Sendable, Codable {
    /// Where it is bound.
    public let localAddress: String
    /// The peer to which it is connected, where there is one.
    public let peerAddress: String?
    /// Whether a task waits for a datagram.
    public let isReceiving: Bool
    /// How many datagrams have come that nobody has received.
    public let heldDatagrams: Int
    /// How many bytes wait to be taken by the kernel.
    public let queuedBytes: Int
  }

  /// A request of libuv's that is in flight. Offloaded calls are listed as what they are.
  public struct Request: Sendable, Codable {
    /// What it is for.
    public let kind: String
    /// For how long.
    public let age: Duration
  }

  /// The loop's name.
  public let loop: String
  /// Where it is in its life.
  public let state: EventLoop.State
  /// Its thread.
  public let thread: Thread
  /// What runs now; nil if nothing does, and unless slow calls are reported or a watchdog watches.
  public let running: Running?
  /// How many closures and jobs wait to run.
  public let queued: Int
  /// The handles, in no order.
  public let handles: [Handle]
  /// Tasks that sleep, the next one first.
  public let sleepers: [Wait]
  /// Scheduled calls, the next one first.
  public let scheduledCalls: [Wait]
  /// Limits of `withTimeout` that run, the next one first.
  public let limits: [Wait]
  /// What else tasks wait for on the loop, and how many of them for each: `promise`, `signal`, `accept` at the listener
  /// of a group.
  public let waitKinds: [String: Int]
  /// The loop's tasks, the oldest first.
  public let tasks: [Task]
  /// Its offloaded calls that wait, for libuv's pool, another one or a place in a lane: of each the first in line
  /// first.
  public let offloadsQueued: [Offload]
  /// Its offloaded calls that run, on whatever pool, the oldest first.
  public let offloadsRunning: [Offload]
  /// Its streams, in no order.
  public let streams: [Stream]
  /// Its listeners, in no order.
  public let listeners: [Listener]
  /// Its UDP sockets, in no order.
  public let sockets: [Socket]
  /// Its requests that libuv has not answered, in no order.
  public let requests: [Request]
  /// The handles that C code has put on the loop, those that are closing too; nil from outside, where libuv's list
  /// cannot be read.
  public let foreignHandles: [ShutdownReport.ForeignHandle]?
  /// How many requests of C code are under way: writes and connections of its handles, files, names, calls on the pool.
  /// libuv counts them, and does not say what they are. Nil from outside.
  public let foreignRequests: Int?
  /// The pool that all loops share.
  public let pool: ThreadPool.Statistics
  /// The pools of one's own that there are in the process, in no order; see ``OffloadPool``.
  public let ownPools: [OffloadPool.Statistics]
  /// The lanes of libuv's pool in which calls run or wait, in no order; see ``OffloadLane``.
  public let lanes: [OffloadLane.Statistics]
  /// The threads of actors that there are in the process, in no order; see ``OffloadThread``.
  public let actorThreads: [OffloadThread.Statistics]

  /// How many tasks wait for something else on the loop; see ``waitKinds``.
  public var waits: Int { waitKinds.values.reduce(0, +) }
}

extension EventLoop {
  /// What is on the loop now.
  ///
  /// - Complexity: O(n log n) in what there is.
  ///
  /// > Isolation: On the loop, and so `await loop.snapshot()` from elsewhere. A loop that is blocked does not answer:
  /// then use ``snapshotFromOutside(timeout:)``.
  public func snapshot() -> LoopSnapshot {
    LoopSnapshot(LoopSnapshot.Lists(core, monitor, isOnLoop: true), core, monitor)
  }

  /// What is on the loop now, also while its thread is blocked.
  ///
  /// The loop is not asked, only kept from changing its lists for the moment that it takes to copy them: O(n), some 30
  /// ms with a million scheduled calls. Foreign handles and requests are not seen: what libuv knows of them belongs to
  /// the loop's thread.
  ///
  /// - Parameter timeout: How long to wait while the loop is in the middle of a change, counted in nanoseconds: usually
  ///   a few of them, unless the process has lost its CPU.
  /// - Throws: ``UVError/Code/invalidArgument`` for a timeout of zero or less; ``UVError/Code/timedOut``;
  ///   ``UVError/Code/notSupported`` on a system without `membarrier`, which is all but Linux.
  /// - Complexity: O(n log n) in what there is.
  ///
  /// > Isolation: Call it from any thread, the loop's own included, also after shutdown.
  public nonisolated func snapshotFromOutside(timeout: Duration = .seconds(1)) throws(UVError) -> LoopSnapshot {
    if timeout <= .zero {
      throw UVError(
        .invalidArgument, call: "snapshotFromOutside",
        "A timeout of \(timeout.text) leaves no time to read anything: it must be greater than zero.")
    }
    requireOwnProcess()
    if !BiasedLock.isSupported {
      throw UVError(
        .notSupported, call: "snapshotFromOutside",
        "This system has no membarrier, without which a loop's lists cannot be read. Use `await loop.snapshot()`.")
    }
    let lists = core.registryLock.withAccess(until: MonotonicClock.now(plus: timeout)) {
      LoopSnapshot.Lists(core, monitor, isOnLoop: false)
    }
    if let lists { return LoopSnapshot(lists, core, monitor) }
    throw UVError(
      .timedOut, call: "snapshotFromOutside",
      "The thread of loop \"\(name)\" was in the middle of a change for \(timeout.text). Ask again.")
  }
}
