// Jobs of Swift tasks: how they come to the loop, and what its thread is to them.
//
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

/// What the loop's thread is to a job that runs there.
enum JobIdentity {
  /// The serial executor: isolated code of a task without a preference.
  case actor
  /// The task executor: code of no actor, in a task that prefers the loop.
  case task
  /// Both: isolated code of a task that prefers the loop.
  case both
}

extension LoopCore: SerialExecutor {
  @usableFromInline func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrent {
      appendOwn(stamped(.job(job, job.bits == runningJob ? correctedIdentity : .actor)))
    } else {
      acceptFromAfar(stamped(.job(job, homecomerSlot.word == job.bits ? .both : .actor)))
    }
  }

  /// The job that runs is enqueued as an actor's, which it need not have been if it had run as this.
  private var correctedIdentity: JobIdentity {
    runningIdentity == .both ? .actor : .both
  }

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

extension LoopCore {
  /// As what a job ran that leaves the loop now.
  @inline(__always)
  func identity(of job: UnownedJob) -> JobIdentity { isCurrent && job.bits == runningJob ? runningIdentity : .actor }

  /// Whether the calling task runs as a job of the loop's, and so comes back to its thread from a wait. One that was
  /// started on the spot, inside another's job, may go on anywhere.
  @inline(__always)
  var isAtHome: Bool { isCurrent && runningJob == WaitScope.currentTask }

  @inline(__always)
  func perform(_ job: UnownedJob, as identity: JobIdentity) {
    runningJob = job.bits
    runningIdentity = identity
    let serial = unsafe UnownedSerialExecutor(ordinary: self)
    switch (identity, unsafe taskExecutor) {
    case (.actor, _), (_, nil): unsafe job.runSynchronously(on: serial)
    case (.task, let task?): unsafe job.runSynchronously(on: task)
    case (.both, let task?): unsafe job.runSynchronously(isolatedTo: serial, taskExecutor: task)
    }
    runningJob = 0
  }
}

extension UnownedJob {
  /// Which job it is, to be compared while it is there: all jobs of a task are one. Holds because a job is one reference.
  var bits: UInt { unsafe unsafeBitCast(self, to: UInt.self) }
}
