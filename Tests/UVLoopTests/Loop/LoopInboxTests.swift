import Testing

@testable import UVLoop

/// What comes to a loop from other threads, on an inbox that no loop empties.
@Suite(.sideBySide) struct LoopInboxTests {
  private let inbox: LoopInbox
  private let local = WorkQueue()
  private let order = Calls()

  /// In which order the work of a queue has run.
  private final class Calls {
    var numbers: [Int] = []
  }

  init() throws { inbox = LoopInbox(waker: try LoopWaker(), spin: nil) }

  private func work(_ number: Int) -> Work { .call { [order] in order.numbers.append(number) } }

  /// What a work is cannot be said inside of an expectation, which would copy it.
  private func add(_ number: Int, _ admission: LoopInbox.Admission) -> Bool {
    inbox.add(work(number), admission).isAccepted
  }

  private func stop(_ number: Int) -> Bool { inbox.stopAccepting(then: work(number)) }

  private func run(_ queue: WorkQueue) -> [Int] {
    while let work = queue.popFirst() {
      if case .call(let body) = work { body() }
    }
    return order.numbers
  }

  @Test func `what has come is taken at once and in order`() {
    for number in 0..<5 { #expect(add(number, number % 2 == 0 ? .post : .job)) }
    #expect(inbox.waiting == 5)
    inbox.take(into: local)
    #expect(inbox.waiting == 0)
    #expect(run(local) == [0, 1, 2, 3, 4])
    #expect(inbox.counts.posts == 5)
  }

  @Test func `only the first that comes to a loop which sleeps wakes it`() {
    #expect(add(0, .post))
    #expect(inbox.counts.wakes == 0, "a loop that is awake looks before it sleeps")
    inbox.take(into: local)
    #expect(inbox.sleep(unless: local))
    for number in 1...3 { #expect(add(number, .post)) }
    #expect(inbox.counts.wakes == 1)
    inbox.take(into: local)
    #expect(inbox.sleep(unless: local))
    #expect(add(4, .job))
    #expect(inbox.counts.wakes == 2)
  }

  @Test func `a loop does not sleep on what has come, and gets it`() {
    #expect(add(0, .job))
    #expect(!inbox.sleep(unless: local))
    #expect(run(local) == [0])
    #expect(inbox.sleep(unless: local))
  }

  @Test
  func `once shutdown is asked for posts are refused, and jobs are not; the last message is behind what was accepted`()
  {
    #expect(add(0, .post))
    #expect(stop(1))
    #expect(!stop(9), "only once")
    #expect(!add(2, .post))
    #expect(add(3, .job))
    #expect(inbox.life == .quiescing)
    inbox.take(into: local)
    #expect(run(local) == [0, 1, 3])
  }

  @Test func `with the last step what is left comes out in order, and later work goes back to whoever brings it`() {
    _ = stop(0)
    inbox.changeLife {
      _ = $0.quiesce()
      $0.endDraining()
    }
    local.append(work(1))
    #expect(add(2, .job))
    let leftover = WorkQueue()
    var steps: [LoopLife.Step] = []
    while steps.last != .end {
      steps.append(inbox.step(LoopLife.Conditions(), into: local) { leftover.append($0) })
      if steps.count > 10 { break }
    }
    #expect(steps == [.releaseWaits, .runHooksAndClose, .end])
    #expect(run(leftover) == [1, 0, 2])
    guard case .ended(let late) = inbox.add(work(3), .job) else {
      Issue.record("a loop that has ended takes no job")
      return
    }
    leftover.append(late)
    #expect(run(leftover) == [1, 0, 2, 3])
  }
}
