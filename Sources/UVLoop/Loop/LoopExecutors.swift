// The runtime moves a task on without enqueuing it where what it wants is what the thread is: a serial executor, that
// of an actor or none, and a task executor, the one that the task prefers or none. A thread is what the one who runs a
// job says it is, and a loop's can be three things:
//
//                     of an actor on the loop    of no actor
//   without preference       .actor              (Swift's pool)
//   preferring the loop      .both               .task
//
// As the wrong one a job is enqueued anew for each call that it makes. An actor's job does not say whether its task
// prefers the loop: it is taken for one without. If the job that runs is then enqueued on the very actor's executor
// that it runs on, that was wrong, and it goes on as the other. So a task settles after one extra job, also when it
// comes to prefer the loop, or ceases to. For an actor's code in a task that prefers another loop nothing is right, and
// each call is a job.
//
// All of them name the same thread, and the runtime compares before it leaves out a hop: a wrong one costs time, and
// nothing else.

/// The executors for which a loop's thread runs a job.
enum JobIdentity {
  /// The serial executor: isolated code of a task without a preference.
  case actor
  /// The task executor: code of no actor, in a task that prefers the loop.
  case task
  /// Both: isolated code of a task that prefers the loop.
  case both
}

/// Runs the jobs of Swift tasks for the executors of a loop: its serial one and its task executor.
@safe final class LoopExecutors: @unchecked Sendable {  // Holds because each variable belongs to the loop's isolation.
  private let thread: LoopThread
  private let hintSlot = ThreadSlot.resumptionHint
  /// Unowned: whoever has a job for the loop owns both, its thread or the task.
  private var serial: UnownedSerialExecutor?
  private var task: UnownedTaskExecutor?
  /// Which job runs on the loop's thread, and for which executors; zero for none.
  private(set) var runningJob: UInt = 0
  private var runningIdentity = JobIdentity.actor

  init(_ thread: LoopThread) { self.thread = thread }

  /// Before the loop's thread starts.
  func attach(_ core: LoopCore, _ executor: LoopTaskExecutor) {
    unsafe serial = UnownedSerialExecutor(ordinary: core)
    unsafe task = executor.asUnownedTaskExecutor()
  }

  // MARK: On the loop

  /// For which executors a job runs that is enqueued on the serial one. If it is the one that runs it need not have
  /// been an actor's only, or not both's.
  @inline(__always)
  func identity(ofEnqueued job: UnownedJob) -> JobIdentity {
    if job.bits != runningJob { return .actor }
    return runningIdentity == .both ? .actor : .both
  }

  @inline(__always)
  func run(_ job: UnownedJob, as identity: JobIdentity) {
    runningJob = job.bits
    runningIdentity = identity
    guard let serial = unsafe serial, let task = unsafe task else {
      fatalError("UVLoop: a loop runs before its start.")
    }
    switch identity {
    case .actor: unsafe job.runSynchronously(on: serial)
    case .task: unsafe job.runSynchronously(on: task)
    case .both: unsafe job.runSynchronously(isolatedTo: serial, taskExecutor: task)
    }
    runningJob = 0
  }

  // MARK: On any thread

  /// The same for one that comes from another thread.
  @inline(__always)
  func identity(ofArriving job: UnownedJob) -> JobIdentity { hintSlot.word == job.bits ? .both : .actor }

  /// The executors under which a job that leaves the loop now was running.
  @inline(__always)
  func identity(ofLeaving job: UnownedJob) -> JobIdentity {
    thread.isCurrent && job.bits == runningJob ? runningIdentity : .actor
  }
}

extension UnownedJob {
  /// Which job it is, to be compared while it is there: all jobs of a task are one. Holds because a job is one
  /// reference.
  var bits: UInt { unsafe unsafeBitCast(self, to: UInt.self) }
}
