import Testing

@testable import UVLoop

/// A life is small enough to be asked everything: each test looks at every phase, with every answer that a loop can
/// give there.
@Suite(.sideBySide) struct LoopLifeTests {
  private typealias Conditions = LoopLife.Conditions

  private struct Step {
    let before: LoopLife
    let now: Conditions
    let step: LoopLife.Step
    let after: LoopLife
  }

  /// What a loop can find. Where nothing is left on it, nothing is left to wait for either.
  private static let answers: [Conditions] = {
    var answers: [Conditions] = []
    for isExpired in [false, true] {
      for tasks in 0...2 {
        for (isSettled, isEmpty) in [(false, false), (true, false), (true, true)] {
          for hasForeignHandles in [false, true] {
            answers.append(
              Conditions(
                isExpired: isExpired, tasks: tasks, isSettled: isSettled, isEmpty: isEmpty,
                hasForeignHandles: hasForeignHandles))
          }
        }
      }
    }
    return answers
  }()

  private static let steps: [Step] = LoopLife.allCases.flatMap { steps(from: $0) }

  private static func steps(from before: LoopLife) -> [Step] {
    answers.map { now in
      var after = before
      let step = after.next(now)
      return Step(before: before, now: now, step: step, after: after)
    }
  }

  /// What can be done to a life, but for its steps.
  private static let changes: [@Sendable (inout LoopLife) -> Void] = [
    { _ = $0.stop() }, { _ = $0.quiesce() }, { if $0 == .draining { $0.endDraining() } }, { $0.end() },
  ]

  // MARK: - The way there

  @Test func `every phase can be reached`() {
    var reached: Set<LoopLife> = [.accepting]
    var pending: [LoopLife] = [.accepting]
    while let life = pending.popLast() {
      // Only what is closing is closed.
      for (index, change) in Self.changes.enumerated() where index < 3 || life == .leaving {
        var after = life
        change(&after)
        if reached.insert(after).inserted { pending.append(after) }
      }
      for step in Self.steps(from: life) where reached.insert(step.after).inserted { pending.append(step.after) }
    }
    #expect(reached == Set(LoopLife.allCases))
  }

  @Test func `it only moves forward`() {
    for step in Self.steps { #expect(step.after >= step.before, "\(step)") }
    for life in LoopLife.allCases {
      for change in Self.changes {
        var after = life
        change(&after)
        #expect(after >= life)
      }
    }
  }

  @Test func `it is stopped once, and from accepting only`() {
    for life in LoopLife.allCases {
      var after = life
      let (first, second) = (after.stop(), after.stop())
      #expect(first == (life == .accepting) && !second)
      #expect(after == (life == .accepting ? .quiescing : life))
    }
  }

  @Test func `it quiesces once, and when it has been stopped only`() {
    for life in LoopLife.allCases {
      var after = life
      let (first, second) = (after.quiesce(), after.quiesce())
      #expect(first == (life == .quiescing) && !second)
      #expect(after == (life == .quiescing ? .draining : life))
    }
  }

  @Test func `no step is taken before what was accepted has run`() {
    for life in LoopLife.allCases where !life.hasDrained {
      for step in Self.steps(from: life) { #expect(step.step == .wait && step.after == life, "\(step)") }
    }
  }

  @Test func `a phase changes exactly where there is something to do`() {
    for step in Self.steps { #expect((step.before != step.after) == (step.step != .wait), "\(step)") }
  }

  @Test func `nothing is done twice on any way from the begin to the end`() {
    struct Place: Hashable {
      let life: LoopLife
      let done: Set<LoopLife.Step>
    }
    var pending = [Place(life: .releasingWaits, done: [])]
    var known: Set<Place> = []
    while let place = pending.popLast() {
      if !known.insert(place).inserted { continue }
      for step in Self.steps(from: place.life) {
        if step.step == .wait { continue }
        #expect(!place.done.contains(step.step), "\(step.step) for the second time, after \(place.done)")
        if !place.done.contains(step.step) {
          pending.append(Place(life: step.after, done: place.done.union([step.step])))
        }
      }
    }
    #expect(known.count > 6)
  }

  // MARK: - The steps

  @Test func `the waits are released in the first step, whatever the loop finds`() {
    for step in Self.steps(from: .releasingWaits) {
      #expect(step.step == .releaseWaits && step.after == .awaitingTasks, "\(step)")
    }
  }

  @Test func `it waits for the loop's tasks, until the time is over and for nothing else`() {
    for step in Self.steps(from: .awaitingTasks) {
      let mustWait = step.now.tasks > 0 && !step.now.isExpired
      #expect(step.step == (mustWait ? .wait : .runHooksAndClose), "\(step)")
    }
  }

  @Test func `within its time it waits for handles and calls to end`() {
    for step in Self.steps(from: .closing) where !step.now.isSettled && !step.now.isExpired {
      #expect(step.step == .wait, "\(step)")
    }
  }

  @Test func `when the time is over it cancels what has not begun, and reports at the next question`() {
    for now in Self.answers where !now.isSettled && now.isExpired {
      var life = LoopLife.releasingWaits
      var taken: [LoopLife.Step] = []
      for _ in 0..<5 { taken.append(life.next(now)) }
      #expect(taken == [.releaseWaits, .runHooksAndClose, .expire, .report, .wait], "\(now)")
    }
  }

  @Test func `it cancels nothing while there is time or nothing to cancel`() {
    for step in Self.steps where step.step == .expire {
      #expect(step.before == .closing && step.now.isExpired && !step.now.isSettled, "\(step)")
    }
  }

  @Test func `it ends exactly when nothing uses the loop any more`() {
    for step in Self.steps where [.closing, .expired, .lingering].contains(step.before) {
      let isFree = step.now.isEmpty && !step.now.hasForeignHandles
      #expect((step.step == .end) == isFree, "\(step)")
    }
  }

  @Test func `it ends in no other phase`() {
    for step in Self.steps where step.step == .end {
      #expect([.closing, .expired, .lingering].contains(step.before), "\(step)")
    }
  }

  @Test func `what is settled but still used is reported at once, and the thread lingers`() {
    for step in Self.steps(from: .closing) where step.now.isSettled {
      if step.now.isEmpty && !step.now.hasForeignHandles { continue }
      #expect(step.step == .report && step.after == .lingering, "\(step)")
    }
  }

  @Test func `a thread that lingers only waits or ends`() {
    for step in Self.steps(from: .lingering) { #expect(step.step == .wait || step.step == .end, "\(step)") }
  }

  @Test func `with nothing left it ends from every step within three questions`() {
    for start in LoopLife.allCases where start.hasDrained {
      var life = start
      for _ in 0..<3 { _ = life.next(Conditions()) }
      #expect(!life.acceptsJobs, "from \(start)")
    }
  }

  @Test func `with its time over it tells the callers from every step, whatever does not end`() {
    for start in LoopLife.allCases where start.hasDrained {
      for now in Self.answers where now.isExpired {
        var life = start
        for _ in 0..<4 { _ = life.next(now) }
        #expect(life >= .lingering, "from \(start) with \(now)")
      }
    }
  }

  // MARK: - The questions

  @Test func `each question is answered with yes up to one phase, or from one on`() {
    func last(_ question: (LoopLife) -> Bool) -> LoopLife? {
      let yes = LoopLife.allCases.filter(question)
      #expect(yes == Array(LoopLife.allCases.prefix(yes.count)))
      return yes.last
    }
    #expect(last(\.acceptsPosts) == .accepting)
    #expect(last { !$0.hasDrained } == .draining)
    #expect(last(\.admitsWaits) == .releasingWaits)
    #expect(last(\.acceptsJobs) == .lingering)
    #expect(LoopLife.allCases.filter(\.takesSteps) == LoopLife.allCases.filter { $0.hasDrained && $0.acceptsJobs })
  }

  @Test func `users see it as stopped once they are told, and not before`() {
    #expect(LoopLife.allCases.filter { $0.state == .running } == [.accepting])
    #expect(LoopLife.allCases.filter { $0.state == .stopped } == [.lingering, .ended])
    // The one phase between those that are seen as stopped comes from none of them.
    for step in Self.steps where step.before.state == .stopped { #expect(step.after.state == .stopped, "\(step)") }
  }
}
