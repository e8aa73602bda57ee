import Testing

@testable import UVLoop

/// The tasks of a loop, in a list that no loop asks.
@Suite(.sideBySide) struct LoopTasksTests {
  private let inbox: LoopInbox
  private let tasks: LoopTasks

  init() throws {
    inbox = LoopInbox(waker: try LoopWaker(), spin: nil)
    tasks = LoopTasks(inbox)
  }

  private func stop() { _ = inbox.stopAccepting(then: .call {}) }

  private func drain() {
    stop()
    inbox.changeLife {
      _ = $0.quiesce()
      $0.endDraining()
    }
  }

  @Test func `a shutdown waits for tasks until they have gone, and for no runBlocking`() throws {
    let one = try #require(tasks.register("one", .task))
    let two = try #require(tasks.register("two", .task))
    let blocking = try #require(tasks.register("runBlocking", .blocking(release: {})))
    #expect(tasks.awaitedCount == 2)
    #expect(tasks.awaited.oldestFirst.map(\.name) == ["one", "two"])
    tasks.unregister(one)
    tasks.unregister(blocking)
    #expect(tasks.awaitedCount == 1)
    tasks.unregister(two)
    #expect(tasks.awaitedCount == 0)
  }

  @Test func `once shutdown has begun none is taken`() {
    stop()
    #expect(tasks.register("late", .task) == nil)
  }

  @Test func `all are cancelled, and one that says later how to cancel it is cancelled then`() throws {
    let (early, late) = (Counter(), Counter())
    let one = try #require(tasks.register("early", .task))
    let two = try #require(tasks.register("late", .task))
    tasks.attach(one) { early.add() }
    drain()
    tasks.cancelAll()
    #expect(early.value == 1)
    tasks.attach(two) { late.add() }
    #expect(late.value == 1)
  }

  @Test func `one that has ended is not cancelled`() throws {
    let cancelled = Counter()
    let id = try #require(tasks.register(nil, .task))
    tasks.attach(id) { cancelled.add() }
    tasks.unregister(id)
    tasks.attach(id) { cancelled.add() }
    drain()
    tasks.cancelAll()
    #expect(cancelled.value == 0)
  }

  @Test func `who asked for the shutdown is not waited for, and not let go`() throws {
    let released = Counter()
    let initiator = try #require(tasks.register("initiator", .task))
    let other = try #require(tasks.register("other", .task))
    let blocking = try #require(tasks.register("blocking", .blocking(release: { released.add() })))
    let waiting = try #require(tasks.register("waiting", .blocking(release: { released.add() })))
    tasks.exempt([initiator, blocking])
    #expect(tasks.awaitedCount == 1)
    #expect(tasks.awaited.oldestFirst.map(\.name).contains("other"))
    tasks.releaseBlocked()
    #expect(released.value == 1)
    for id in [initiator, other, blocking, waiting] { tasks.unregister(id) }
  }

  @Test func `a task is known by its job while it is there`() throws {
    let id = try #require(tasks.register("worker", .task))
    #expect(tasks.name(of: 7) == nil)
    tasks.note(7, of: id)
    #expect(tasks.name(of: 7) == "worker")
    tasks.unregister(id)
    #expect(tasks.name(of: 7) == nil)
    tasks.note(8, of: id)
    #expect(tasks.name(of: 8) == nil)
  }
}
