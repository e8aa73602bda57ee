/// A bound on one kind of work in libuv's pool.
///
/// ```swift
/// let disk = try OffloadLane(name: "disk", limit: 2)
/// let size = try await loop.offload(in: disk, label: "size") { try sizeOnDisk(of: folder) }
/// ```
///
/// However many calls there are of its kind, no more than `limit` of them have a worker, or wait for one: the other
/// workers are free for files, names and whatever else the process does. It needs no threads of its own; see
/// ``OffloadPool`` for those. All loops may share it. Calls get their places in the order in which they came.
///
/// > Isolation: Everything here may be called on any thread.
///
/// > Ownership: Calls that wait or run keep what they need of it.
public final class OffloadLane: Sendable {
  /// What a lane does at a moment.
  public struct Statistics: Sendable, Codable {
    /// The lane's name.
    public let name: String
    /// How many calls may have a place at once.
    public let limit: Int
    /// Calls that wait for a place.
    public let queued: Int
    /// Calls that have one: they run, or wait for a worker.
    public let running: Int
    /// What runs on a worker, the oldest first.
    public let jobs: [ThreadPool.Job]
    /// For how long the first in line has waited for a place; nil if nothing does.
    public let oldestQueued: Duration?
    /// How long calls have waited, for a place and for a worker, since the lane was made.
    public let waits: LatencyHistogram
    /// How long they have run.
    public let runs: LatencyHistogram
  }

  let state: LaneState

  /// Makes a lane.
  ///
  /// - Parameters:
  ///   - name: For people.
  ///   - limit: How many calls may have a place at once. One that is larger than the pool bounds nothing.
  /// - Throws: ``UVError/Code/invalidArgument`` for a limit that is not positive.
  public init(name: String = "lane", limit: Int) throws(UVError) {
    state = LaneState(name, limit)
    try requirePositive(limit, "OffloadLane.init")
  }

  /// The name that was given to it.
  public var name: String { state.name }

  /// How many calls may have a place at once.
  public var limit: Int { OffloadScheduler.process.limit(of: state) }

  /// Changes the limit, also while calls wait and run. Calls that have a place keep it.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for a limit that is not positive.
  public func setLimit(_ limit: Int) throws(UVError) {
    try requirePositive(limit, "OffloadLane.setLimit")
    OffloadScheduler.process.setLimit(limit, of: state)
  }

  /// What the lane does now.
  public var statistics: Statistics { OffloadScheduler.process.statistics(of: state) }

  private func requirePositive(_ limit: Int, _ call: String) throws(UVError) {
    if limit < 1 {
      throw UVError(
        .invalidArgument, call: call, "A limit of \(limit) is not possible for lane \"\(name)\": give 1 or more.")
    }
  }
}

extension EventLoop {
  /// Runs synchronous, blocking code on libuv's pool when its lane has a place for it, and returns its result on the
  /// caller's isolation.
  ///
  /// It is ``offload(label:onCancel:isolation:_:)`` with a bound. What waits for a place is cancelled, counted and
  /// waited for by a shutdown as what waits for a worker.
  ///
  /// - Parameters:
  ///   - lane: What bounds calls of this kind.
  ///   - label: A name for people: in ``OffloadLane/statistics-swift.property``, in ``ThreadPool/statistics``, in
  ///     errors, in a ``ShutdownReport``.
  ///   - onCancel: What happens to the caller when it is cancelled while `body` runs. A call that is abandoned has its
  ///     place until it ends.
  ///   - isolation: The caller's; leave it out.
  ///   - body: Runs once, or never if the call throws one of the errors below.
  /// - Throws: What ``offload(label:onCancel:isolation:_:)`` throws; ``UVError/Code/wouldDeadlock`` also where every
  ///   place of the lane is held by a call that waits, in `runBlocking`, for something which could never begin.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: As in ``offload(label:onCancel:isolation:_:)``.
  ///
  /// > libuv: `uv_queue_work`, `uv_cancel`.
  public func offload<T>(
    in lane: OffloadLane, label: String? = nil, onCancel: OffloadCancellation = .wait,
    isolation: isolated (any Actor)? = #isolation, _ body: sending @escaping () throws -> sending T
  ) async throws -> sending T {
    try WaitScope.checkCancellation()
    requireOwnProcess()
    try requireRunning("offload")
    let offload = Offload(on: core, through: lane.state, label: label, isAbandonable: onCancel == .abandon)
    return try await Offload.value(of: offload, isolation: isolation, Disconnected(consume body)).take()
  }
}
