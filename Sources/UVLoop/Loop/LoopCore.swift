import CLibUV
import Synchronization

// What belongs to whom:
//   any thread       name, inbox, tasks, ending, lifeState, watch, counters (read)
//   the loop thread  local, components, waits, hooks, stop: no lock, since nobody else comes here; after the
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
  let lifeState = Atomic<UInt8>(0)
  let currentSlot = ThreadSlot.current
  let isolatingSlot = ThreadSlot.isolating
  let homecomerSlot = ThreadSlot.homecomer

  /// Unowned, since the executor owns the core. Whoever has a job for it owns it: the loop's thread, or the task.
  private(set) var taskExecutor: UnownedTaskExecutor?

  let watch: LoopWatch
  let uptime: LoopUptime
  /// Guards the lists of handles and timers, which the loop's thread owns and others may want to read.
  let books = BiasedLock()

  let local = WorkQueue()
  let counters = LoopCounters()
  /// Which job runs on the loop's thread, and as what; zero for none.
  var runningJob: UInt = 0
  var runningIdentity = JobIdentity.actor
  /// Whether a task may go on inside the callback that ends its wait. A test switches it off.
  var runsInline = true
  let waits: LoopWaits
  let scopes = WaitScopes()
  var hooks = ShutdownHooks()
  var stop: LoopStop?
  var hasQuiesced = false
  /// What takes part in it, in the order of its making, and by key.
  var components: [any LoopComponent] = []
  let table = ComponentTable()
  /// A component that other threads may make too, before the loop needs it.
  let companion = AtomicLazyReference<LoopCompanion>()
  var idle: UnsafeMutablePointer<uv_idle_t>?
  var isIdling = false
  /// Whether it is about to poll, and whether that poll must not wait.
  var isBeforePoll = false
  var pollsWithoutWaiting = false
  /// On virtual time: how many jobs had run when the loop last began a poll only to see whether anything was left.
  var jobsAtLook: Int?

  init(_ options: EventLoop.Options, _ observer: any LoopObserver) throws(UVError) {
    name = options.name
    time = options.time.source
    watch = LoopWatch(observer)
    waits = LoopWaits(books)
    StandardDescriptor.look()
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
