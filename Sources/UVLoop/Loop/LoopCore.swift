import CLibUV
import Synchronization

// What belongs to whom:
//   any thread       name, inbox, tasks, ending, lifeState, watch, counters (read)
//   the loop thread  local, residents, waits, hooks, stop: no lock, since nobody else comes here; after the
//                    thread has ended, whoever drains the loop's late jobs, one at a time
//
// Who keeps the core alive: its thread, `EventLoop`, the task executor, and everything that can send to the loop. The
// core keeps none of them: it has only a weak reference to its `EventLoop`.

/// The loop behind ``EventLoop``: its queue, its turn, its end. Serial executor of every actor that lives on it.
@usableFromInline
@safe final class LoopCore: @unchecked Sendable {  // Holds because of the table above.
  let name: String
  /// What deadlines on this loop are compared with. What protects a thread from waiting counts real time.
  let time: TimeSource
  let machinery: LoopMachinery
  let inbox: LoopInbox
  let tasks = LoopTasks()
  let ending = LoopEnding()
  let drainer = LoopDrainer()

  /// Both are set before the loop is handed out, and never changed.
  weak var owner: EventLoop?
  private(set) var thread: ThreadIdentity?

  let generation = ProcessGeneration.join()
  private let lifeState = Atomic<UInt8>(0)
  let currentSlot = ThreadSlot.current
  let isolatingSlot = ThreadSlot.isolating

  /// Unowned, since the executor owns the core. Whoever has a job for it owns it: the loop's thread, or the task.
  private var taskExecutor: UnownedTaskExecutor?

  let watch: LoopWatch
  let uptime: LoopUptime
  /// Guards the lists of handles and timers, which the loop's thread owns and others may want to read.
  let books = BiasedLock()

  let local = WorkQueue()
  let counters = LoopCounters()
  /// Whether what runs now came through the task executor.
  private(set) var isRunningTaskJob = false
  /// Which job runs, on a loop that is watched.
  var runningJob: UInt?
  var waits: [ObjectIdentifier: Gate] = [:]
  var hasReleasedWaits = false
  var hooks: [() -> Void] = []
  var stop: LoopStop?
  /// What lives here; the same by slot, so that what is asked for at every call is one load away.
  var residents: [any LoopResident] = []
  var handlesSlot: AnyObject?
  var timersSlot: AnyObject?
  var workSlot: AnyObject?
  var idle: UnsafeMutablePointer<uv_idle_t>?
  var isIdling = false
  /// On virtual time: how many jobs had run when the loop last began a poll only to see whether anything was left.
  var jobsAtLook: Int?

  init(_ options: EventLoop.Options, _ observer: any LoopObserver) throws(UVError) {
    name = options.name
    time = options.time.source
    watch = LoopWatch(observer)
    // A daemon may have closed its standard streams. libuv aborts when it closes a descriptor below 3, and whatever the
    // program prints would end up in one of ours.
    let taken = Posix.takeFreeStandardDescriptors()
    defer { for descriptor in taken { Posix.close(descriptor) } }
    machinery = try LoopMachinery()
    do throws(UVError) {
      uptime = unsafe try LoopUptime(machinery.loop, measuresIdle: options.metrics)
      inbox = LoopInbox(wake: try LoopWake(), spin: options.spin > .zero ? LoopSpin(for: options.spin) : nil)
    } catch {
      machinery.close()
      throw error
    }
    do throws(UVError) {
      try assemble()
    } catch {
      machinery.close()
      throw error
    }
  }

  /// Makes the internal handles.
  private func assemble() throws(UVError) {
    try inbox.wake.attach(to: machinery)
    let prepare = unsafe try machinery.open(UV_PREPARE, as: uv_prepare_t.self, "uv_prepare_init", for: self) {
      unsafe uv_prepare_init($0, $1)
    }
    unsafe try check(
      uv_prepare_start(prepare) { handle in
        if let this = unsafe handle?.pointee.data {
          unsafe Unmanaged<LoopCore>.fromOpaque(this)._withUnsafeGuaranteedRef { $0.beforePoll() }
        }
      }, "uv_prepare_start")

    let check = unsafe try machinery.open(UV_CHECK, as: uv_check_t.self, "uv_check_init", for: self) {
      unsafe uv_check_init($0, $1)
    }
    unsafe try UVLoop.check(
      uv_check_start(check) { handle in
        if let this = unsafe handle?.pointee.data {
          unsafe Unmanaged<LoopCore>.fromOpaque(this)._withUnsafeGuaranteedRef { $0.afterPoll() }
        }
      }, "uv_check_start")

    unsafe idle = try machinery.open(UV_IDLE, as: uv_idle_t.self, "uv_idle_init") { unsafe uv_idle_init($0, $1) }
  }

  /// Starts the thread; returns once it runs.
  func start(_ executor: LoopTaskExecutor) throws(UVError) -> ThreadIdentity {
    unsafe taskExecutor = executor.asUnownedTaskExecutor()
    do throws(UVError) {
      let identity = try LoopThread.start(self, executor)
      thread = identity
      return identity
    } catch {
      machinery.close()
      throw error
    }
  }
}

// MARK: - Life

extension LoopCore {
  enum Life: UInt8 {
    case running
    case stopping
    case stopped

    var state: EventLoop.State {
      switch self {
      case .running: .running
      case .stopping: .stopping
      case .stopped: .stopped
      }
    }
  }

  var life: Life { Life(rawValue: lifeState.load(ordering: .acquiring)) ?? .stopped }

  func endLife() { lifeState.store(Life.stopped.rawValue, ordering: .releasing) }

  /// Never from stopped back to stopping: two threads may ask at once.
  func beginStopping() {
    _ = lifeState.compareExchange(
      expected: Life.running.rawValue, desired: Life.stopping.rawValue, ordering: .acquiringAndReleasing)
  }

  /// For a wait that was accepted, and that shutdown has ended.
  func closedWhileWaiting(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Loop \"\(name)\" was shut down while \(call) waited.")
  }

  /// For a call that came too late.
  @inline(never)
  func closedError(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Loop \"\(name)\" has been shut down, or is about to be, and refused \(call).")
  }

  /// Refuses a call once shutdown has begun.
  @inline(__always)
  func requireRunning(_ call: @autoclosure () -> String) throws(UVError) {
    if lifeState.load(ordering: .acquiring) != Life.running.rawValue { throw closedError(call()) }
  }

  /// Guards calls that need no `await` on the loop: throws where the loop has ended, and where an actor of another loop
  /// calls.
  func requireOnLoop(_ call: @autoclosure () -> String) throws(UVError) {
    try requireRunning(call())
    if !isCurrent { throw offLoopError(call(), "Use `await loop.run { loop in … }` or `loop.post { … }`.") }
  }

  /// For a call that was made off the loop's thread, with what to do instead.
  func offLoopError(_ call: String, _ instead: String) -> UVError {
    requireOwnProcess()
    return UVError(
      .notOnLoop, call: call,
      """
      \(call) must be called on the thread of loop "\(name)", \(threadText), and was called on \
      \(ThreadIdentity.current). \(instead)
      """)
  }
}

// MARK: - Work

extension LoopCore {
  /// A closure of a user: refused once shutdown has begun.
  @inline(__always)
  func post(_ work: consuming Work) throws(UVError) {
    if isCurrent {
      try requireRunning("post")
      local.append(stamped(work))
    } else {
      requireOwnProcess()
      if !inbox.add(stamped(work), .whileRunning).isAccepted { throw closedError("post") }
    }
  }

  /// A message of the library to the loop: runs for as long as the loop turns and is dropped after that, when every
  /// handle is closed and every wait has ended. In a forked child there is no loop to send it to. False if dropped.
  @discardableResult
  func tell(_ body: @escaping () -> Void) -> Bool {
    if isCurrent {
      local.append(.call(body))
      return true
    }
    return isOwnProcess && inbox.add(.call(body), .whileTurning).isAccepted
  }

  /// Goes on with a task that waited at a gate, under the identity that it had before.
  @inline(__always)
  func resume(_ job: UnownedJob, asTaskJob isTaskJob: Bool) { accept(isTaskJob ? .taskJob(job) : .job(job)) }

  /// Jobs are never refused: somebody awaits them.
  @inline(__always)
  func accept(_ work: consuming Work) {
    if isCurrent {
      local.append(stamped(work))
    } else {
      acceptFromAfar(stamped(work))
    }
  }

  private func acceptFromAfar(_ work: consuming Work) {
    requireOwnProcess()
    if case .ended(let work) = inbox.add(work, .whileTurning) { drainer.add(work, for: self) }
  }

  /// What must still happen after the loop has ended.
  func runLate(_ body: @escaping () -> Void) { drainer.add(.call(body), for: self) }

  @inline(__always)
  func run(_ work: consuming Work) {
    switch consume work {
    case .call(let body):
      body()
    case .job(let job):
      unsafe job.runSynchronously(on: UnownedSerialExecutor(ordinary: self))
    case .taskJob(let job):
      guard let taskExecutor = unsafe taskExecutor else { return }
      isRunningTaskJob = true
      unsafe job.runSynchronously(isolatedTo: UnownedSerialExecutor(ordinary: self), taskExecutor: taskExecutor)
      isRunningTaskJob = false
    case .stamped(let stamped):
      run(stamped)
    }
  }
}

extension LoopCore: SerialExecutor {
  @usableFromInline func enqueue(_ job: consuming ExecutorJob) { accept(.job(UnownedJob(job))) }

  @usableFromInline func isIsolatingCurrentContext() -> Bool? { isIsolating }

  @usableFromInline func checkIsolated() {
    if !isIsolating {
      fatalError(
        """
        UVLoop: this code must run on loop "\(name)", \(threadText), and runs on \(ThreadIdentity.current). Reach the \
        loop with `await loop.run { loop in … }` or `loop.post { … }`.
        """)
    }
  }
}
