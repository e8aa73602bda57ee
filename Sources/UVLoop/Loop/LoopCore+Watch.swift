// Work that a watched loop runs.

extension LoopCore {
  /// Gives work the time at which it came, and where it was posted.
  @inline(__always)
  func stamped(_ work: consuming Work) -> Work {
    watch.interest.contains(.calls) ? stamp(work) : work
  }

  @inline(never)
  private func stamp(_ work: consuming Work) -> Work {
    // A job comes from the runtime, and not from whoever wrote the task.
    let site = work.job == nil ? watch.siteIfWanted : nil
    return .stamped(StampedWork(work, since: MonotonicClock.now(), site: site))
  }

  /// Runs work that somebody watches. What came before it was watched carries nothing along.
  @inline(never)
  func runObserved(_ work: consuming Work) {
    switch consume work {
    case .stamped(let stamped):
      if let work = stamped.take() { observe(work, since: stamped.since, stamped.site) }
    case let work:
      observe(work, since: nil, nil)
    }
  }

  private func observe(_ work: consuming Work, since: Int64?, _ site: CallSite?) {
    var call = LoopCall(kind: .post, site: site, since: since)
    if let job = work.job {
      call = LoopCall(kind: .task, label: tasks.name(of: job), since: since)
    }
    // The work must be the loop's own to consume, which a closure does not allow.
    watch.observer.willRun(call)
    perform(work)
    watch.observer.didRun()
  }

  @inline(never)
  func performAgain(_ work: consuming Work) { perform(work) }

  /// At the start of a task of the loop: from now on its jobs are known by its name.
  func noteStart(of id: LoopTasks.ID, _ name: String?) {
    guard isCurrent, watch.interest.contains(.calls), runningJob != 0 else { return }
    tasks.note(runningJob, of: id)
    watch.observer.identify(name)
  }
}

/// Work that carries along when it came, and from where.
final class StampedWork {
  private var work: Work?
  let since: Int64
  let site: CallSite?

  init(_ work: consuming Work, since: Int64, site: CallSite?) {
    self.work = consume work
    self.since = since
    self.site = site
  }

  func take() -> Work? { work.take() }
}
