// Jobs of Swift tasks: how they come to the loop, and what its thread is to them. See ``JobIdentity``.

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
