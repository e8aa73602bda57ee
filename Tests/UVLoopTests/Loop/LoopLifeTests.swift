import Testing

@testable import UVLoop

/// The sequence is small enough to be asked everything: each test looks at every state that can be reached, with every
/// answer that a loop can give there.
@Suite(.sideBySide) struct StopSequenceTests {
  private typealias Conditions = StopSequence.Conditions

  private struct Step {
    let before: StopSequence
    let now: Conditions
    let action: StopSequence.Action
    let after: StopSequence
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

  /// All states with all their variables, private ones too.
  private static func key(_ sequence: StopSequence) -> String { String(reflecting: sequence) }

  private static let states: [StopSequence] = {
    var states = [StopSequence()]
    var known: Set<String> = [key(StopSequence())]
    var next = 0
    while next < states.count {
      for now in answers {
        var after = states[next]
        _ = after.next(now)
        if known.insert(key(after)).inserted { states.append(after) }
      }
      next += 1
    }
    return states
  }()

  private static let steps: [Step] = states.flatMap { before in
    answers.map { now in
      var after = before
      let action = after.next(now)
      return Step(before: before, now: now, action: action, after: after)
    }
  }

  private static let order: [StopSequence.Phase] = [.releasingWaits, .awaitingTasks, .closingHandles, .reaping, .ended]

  private static func place(_ sequence: StopSequence) -> Int { order.firstIndex(of: sequence.phase) ?? -1 }

  private static func steps(from phase: StopSequence.Phase) -> [Step] { steps.filter { $0.before.phase == phase } }

  @Test func `every phase can be reached`() {
    #expect(Set(Self.states.map(\.phase)) == Set(Self.order))
  }

  @Test func `phases only move forward`() {
    for step in Self.steps { #expect(Self.place(step.after) >= Self.place(step.before), "\(step)") }
  }

  @Test func `a phase changes exactly where there is something to do but cancelling`() {
    for step in Self.steps {
      let isMove = step.action != .wait && step.action != .expire
      #expect((step.before.phase != step.after.phase) == isMove, "\(step)")
    }
  }

  @Test func `nothing is done twice on any way from the begin to the end`() {
    struct Place: Hashable {
      let key: String
      let done: Set<StopSequence.Action>
    }
    var pending: [(StopSequence, Set<StopSequence.Action>)] = [(StopSequence(), [])]
    var known: Set<Place> = []
    while let (sequence, done) = pending.popLast() {
      if !known.insert(Place(key: Self.key(sequence), done: done)).inserted { continue }
      for now in Self.answers {
        var after = sequence
        let action = after.next(now)
        if action == .wait {
          pending.append((after, done))
        } else {
          #expect(!done.contains(action), "\(action) for the second time, after \(done)")
          if !done.contains(action) { pending.append((after, done.union([action]))) }
        }
      }
    }
    #expect(known.count > Self.states.count)
  }

  @Test func `it waits for the loop's tasks, until the time is over and for nothing else`() {
    for step in Self.steps(from: .awaitingTasks) {
      let mustWait = step.now.tasks > 0 && !step.now.isExpired
      #expect(step.action == (mustWait ? .wait : .closeHandles), "\(step)")
    }
  }

  @Test func `the waits are released in the first step, whatever the loop finds`() {
    for step in Self.steps(from: .releasingWaits) { #expect(step.action == .releaseWaits, "\(step)") }
  }

  @Test func `within its time it waits for handles and calls to end`() {
    for step in Self.steps(from: .closingHandles) where !step.now.isSettled && !step.now.isExpired {
      #expect(step.action == .wait, "\(step)")
    }
  }

  @Test func `when the time is over it cancels what has not begun, and reports at the next question`() {
    for now in Self.answers where !now.isSettled && now.isExpired {
      var sequence = StopSequence()
      var actions: [StopSequence.Action] = []
      for _ in 0..<5 { actions.append(sequence.next(now)) }
      #expect(actions == [.releaseWaits, .closeHandles, .expire, .report, .wait], "\(now)")
    }
  }

  @Test func `it cancels nothing while there is time or nothing to cancel`() {
    for step in Self.steps where step.action == .expire {
      #expect(step.before.phase == .closingHandles && step.now.isExpired && !step.now.isSettled, "\(step)")
    }
  }

  @Test func `it ends exactly when nothing uses the loop any more`() {
    for step in Self.steps where step.before.phase == .closingHandles || step.before.phase == .reaping {
      let isFree = step.now.isEmpty && !step.now.hasForeignHandles
      #expect((step.action == .end) == isFree, "\(step)")
    }
  }

  @Test func `it ends in no other phase`() {
    for step in Self.steps where step.action == .end {
      #expect(step.before.phase == .closingHandles || step.before.phase == .reaping, "\(step)")
    }
  }

  @Test func `what is settled but still used is reported at once and left to the reaper`() {
    for step in Self.steps(from: .closingHandles) where step.now.isSettled {
      if step.now.isEmpty && !step.now.hasForeignHandles { continue }
      #expect(step.action == .report && step.after.phase == .reaping, "\(step)")
    }
  }

  @Test func `the reaper only waits or ends`() {
    for step in Self.steps(from: .reaping) { #expect(step.action == .wait || step.action == .end, "\(step)") }
  }

  @Test func `after the end it only waits`() {
    for step in Self.steps(from: .ended) { #expect(step.action == .wait, "\(step)") }
  }

  @Test func `with nothing left it ends from every state within three questions`() {
    for state in Self.states {
      var sequence = state
      for _ in 0..<3 { _ = sequence.next(Conditions()) }
      #expect(sequence.phase == .ended, "from \(Self.key(state))")
    }
  }

  @Test func `with its time over it tells the callers from every state, whatever does not end`() {
    for state in Self.states {
      for now in Self.answers where now.isExpired {
        var sequence = state
        for _ in 0..<4 { _ = sequence.next(now) }
        #expect(sequence.phase == .reaping || sequence.phase == .ended, "from \(Self.key(state)) with \(now)")
      }
    }
  }
}
