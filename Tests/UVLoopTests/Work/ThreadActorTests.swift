import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Something that lives on a thread of its own.
private actor Clerk: ThreadActor {
  nonisolated let thread: OffloadThread
  private let witness: ReleaseWitness?
  private let farewell: (@Sendable (Bool) -> Void)?
  var log: [Int] = []

  init(
    on thread: OffloadThread, _ witness: ReleaseWitness? = nil, farewell: (@Sendable (Bool) -> Void)? = nil
  ) {
    self.thread = thread
    self.witness = witness
    self.farewell = farewell
  }

  isolated deinit { farewell?(thread.isCurrent) }

  func isAtHome() -> Bool { thread.isCurrent }
  func note(_ number: Int) { log.append(number) }
  func block(_ begun: Event, until gate: Event) {
    begun.signal()
    gate.waitBlocking()
  }
  func identity() -> ThreadIdentity { .current }
  func call(_ body: @Sendable () throws -> Void) rethrows { try body() }
  func visit(_ loop: EventLoop) async -> (Bool, there: Bool, Bool) {
    let before = thread.isCurrent
    let there = await loop.run { $0.isCurrent }
    return (before, there, thread.isCurrent)
  }
  func isColleagueHere(_ other: Clerk) async -> Bool { await other.isAtHome() }
}

/// One that says itself where it runs.
private actor Impostor: ThreadActor {
  nonisolated let thread: OffloadThread
  private let other: OffloadThread
  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: other.core) }

  init(_ thread: OffloadThread, at other: OffloadThread) {
    self.thread = thread
    self.other = other
  }
}

/// Actors that may block.
@Suite(.alone) struct ThreadActorTests {
  @Test func `C-38 all that a thread's actors do runs on it, and what they await of others where that belongs`()
    async throws
  {
    let thread = try OffloadThread(name: "clerks")
    let (one, other) = (Clerk(on: thread), Clerk(on: thread))
    #expect(!thread.isCurrent)
    #expect(await one.isAtHome())
    #expect(await other.isAtHome())
    #expect(await one.identity() == thread.identity)
    #expect(thread.identity.name == "clerks")
    #expect(await one.isColleagueHere(other))
    try await withTestLoop { loop, _ in
      #expect(await one.visit(loop) == (true, true, true))
      // From each place from which a task may come, and back there.
      await loop.run { loop in
        #expect(await one.isAtHome())
        #expect(loop.isCurrent)
      }
      let preferring = Task(executorPreference: loop.taskExecutor) {
        let isAtHome = await one.isAtHome()
        return isAtHome && loop.isCurrent
      }
      #expect(await preferring.value)
    }
    await thread.shutdown()
  }

  @Test func `C-38 a method may block, and what comes meanwhile runs behind it, in order, whatever its priority`()
    async throws
  {
    let thread = try OffloadThread()
    let clerk = Clerk(on: thread)
    let (begun, gate) = (Event("a method that blocks"), Event("its end"))
    async let blocked: Void = clerk.block(begun, until: gate)
    try await begun.wait()
    var tasks: [Task<Void, Never>] = []
    for number in 0..<20 {
      let priority: TaskPriority = number % 2 == 0 ? .background : .high
      tasks.append(Task(priority: priority) { await clerk.note(number) })
      await expectEventually { thread.statistics.queued == number + 1 }
    }
    let busy = thread.statistics
    #expect(try #require(busy.running) >= #require(busy.oldestQueued))
    gate.signal()
    await blocked
    for task in tasks { await task.value }
    #expect(await clerk.log == Array(0..<20))
    // With the call that has just asked.
    await expectEventually { thread.statistics.running == nil }
    let done = thread.statistics
    #expect(done.queued == 0 && done.oldestQueued == nil)
    #expect(done.runs.count == done.waits.count && done.runs.count >= 22)
  }

  @Test func `C-38 isolation is known on the thread, and asked for elsewhere traps with a sentence`() async throws {
    let clerk = Clerk(on: try OffloadThread())
    await clerk.call {
      clerk.assertIsolated()
      clerk.preconditionIsolated()
      #expect(clerk.assumeIsolated { $0.thread.isCurrent })
    }
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      Clerk(on: try OffloadThread(name: "far-away")).preconditionIsolated()
    }
    let text = try #require(result).standardErrorText
    #expect(text.contains("UVLoop: this code must run on the thread \"far-away\" of its actor"))
    #expect(text.contains("Call the actor's methods with `await`."))
  }

  @Test func `C-39 a call from a loop comes back while every thread of Swift's pool is held`() async throws {
    await #expect(processExitsWith: .success) {
      let clerk = Clerk(on: try OffloadThread())
      let (held, gate) = (Counter(), Event("the release of Swift's pool"))
      let loop = try EventLoop()
      for _ in 0..<64 {
        Task.detached {
          held.add()
          gate.waitBlocking()
        }
      }
      // A plain thread: of Swift's there is none, until the gate is opened.
      let sum = try await onPlainThread {
        defer { gate.signal() }
        return try loop.runBlocking(timeout: .seconds(20)) { loop in
          var sum = 0
          for _ in 0..<100 where await clerk.isAtHome() && loop.isCurrent { sum += 1 }
          return sum
        }
      }
      #expect(sum == 100 && held.value > 0)
      await loop.shutdown()
    }
  }

  @Test func `C-39 post runs on the thread, in order, and is refused after the end and for who runs elsewhere`()
    async throws
  {
    let (thread, other) = (try OffloadThread(name: "front"), try OffloadThread(name: "back"))
    let clerk = Clerk(on: thread)
    for number in 0..<100 { try clerk.post { $0.log.append($0.thread.isCurrent ? number : -1) } }
    #expect(await clerk.log == Array(0..<100))
    let error = #expect(throws: UVError.self) { try Impostor(thread, at: other).post { _ in } }
    #expect(error?.code == .notOnLoop)
    #expect(error?.message.contains("Impostor names thread \"front\", and does not run there.") == true)
    await thread.shutdown()
    try expectCode(.poolClosed) { try clerk.post { _ in } }
  }

  @Test func `C-39 what a closure captured is released when it has run, while others wait, and may use the thread`()
    async throws
  {
    final class Ticket: Sendable {
      private let thread: OffloadThread
      private let released: Event

      init(_ thread: OffloadThread, _ released: Event) {
        self.thread = thread
        self.released = released
      }

      func touch() {}
      // It takes the lock of the thread.
      deinit { if thread.statistics.queued >= 0 { released.signal() } }
    }
    let thread = try OffloadThread()
    let clerk = Clerk(on: thread)
    let (begun, held, released) = (Event("a method that blocks"), Event("its end"), Event("the release of a ticket"))
    let (next, gate) = (Event("the method behind"), Event("its end"))
    try clerk.post { _ in
      begun.signal()
      held.waitBlocking()
    }
    try await begun.wait()
    do {
      let ticket = Ticket(thread, released)
      try clerk.post { _ in ticket.touch() }
    }
    try clerk.post { _ in
      next.signal()
      gate.waitBlocking()
    }
    let behind = Task { await clerk.note(1) }
    await expectEventually { thread.statistics.queued == 3 }
    held.signal()
    try await next.wait()
    try await released.wait()
    gate.signal()
    await behind.value
    #expect(await clerk.log == [1])
  }

  @Test func `C-40 an isolated deinit runs on the thread, wherever the last reference goes`() async throws {
    let thread = try OffloadThread()
    for isThere in [false, true] {
      let (ended, gone) = (Event("an isolated deinit"), Shared<Bool?>(nil))
      let farewell: @Sendable (Bool) -> Void = { isCurrent in
        gone.value = isCurrent
        ended.signal()
      }
      if isThere {
        let keeper = Clerk(on: thread)
        await keeper.call { _ = Clerk(on: thread, farewell: farewell) }
      } else {
        _ = Clerk(on: thread, farewell: farewell)
      }
      try await ended.wait()
      #expect(gone.value == true)
    }
  }

  @Test func `C-41 what was there ends before the shutdown does, and later methods run elsewhere, one at a time`()
    async throws
  {
    let thread = try OffloadThread()
    let clerk = Clerk(on: thread)
    let (begun, gate) = (Event("a method that blocks"), Event("its end"))
    let blocked = Task { await clerk.block(begun, until: gate) }
    try await begun.wait()
    for number in 0..<10 { try clerk.post { $0.log.append(number) } }
    let report = Task.immediate { await thread.shutdown() }
    gate.signal()
    await blocked.value
    #expect(await report.value.unfinished.isEmpty)
    // Each sees the one before whole, though they come from many threads.
    let others = Counter()
    await withTaskGroup { tasks in
      for number in 10..<200 {
        tasks.addTask {
          await clerk.note(number)
          if await !clerk.isAtHome() { others.add() }
        }
      }
    }
    #expect(others.value == 190)
    #expect(await clerk.log.prefix(10) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    #expect(await clerk.log.sorted() == Array(0..<200))
    await clerk.call { clerk.preconditionIsolated() }
    #expect(await thread.shutdown().unfinished.isEmpty)
  }

  @Test(arguments: [Duration.milliseconds(30), .zero, .seconds(-1)])
  func `C-41 when its time is over the report names what runs and waits, which goes on`(limit: Duration) async throws {
    let thread = try OffloadThread(name: "slow")
    let clerk = Clerk(on: thread)
    let (begun, gate) = (Event("a method that blocks"), Event("its end"))
    let blocked = Task { await clerk.block(begun, until: gate) }
    try await begun.wait()
    let waiting = Task { await clerk.note(1) }
    await expectEventually { thread.statistics.queued == 1 }
    let report =
      limit == .zero
      ? try await onPlainThread { try thread.shutdownBlocking(within: limit) } : await thread.shutdown(within: limit)
    #expect(report.unfinished.map(\.pool) == ["slow", "slow"])
    gate.signal()
    await blocked.value
    await waiting.value
    #expect(await clerk.log == [1])
  }

  @Test func `C-41 a shutdown comes to its end though calls go on and on`() async throws {
    let thread = try OffloadThread()
    let clerk = Clerk(on: thread)
    let isOver = Shared(false)
    let callers = (0..<4).map { number in
      Task { while !isOver.value { await clerk.note(number) } }
    }
    await expectEventually { await clerk.log.count > 100 }
    #expect(await thread.shutdown(within: .seconds(Int64.max)).unfinished.isEmpty)
    let before = await clerk.log.count
    await expectEventually { await clerk.log.count > before + 100 }
    isOver.value = true
    for caller in callers { await caller.value }
    #expect(await !clerk.isAtHome())
  }

  @Test func `C-41 a method of the thread's may ask for its end, and what would block for that is refused`()
    async throws
  {
    let thread = try OffloadThread()
    let clerk = Clerk(on: thread)
    await clerk.call {
      #expect(throws: UVError.self) { try thread.shutdownBlocking() }
    }
    try await withTestLoop { loop, _ in
      try await loop.run { loop in
        try loop.post { _ in #expect(throws: UVError.self) { try thread.shutdownBlocking() } }
      }
      try await iterate(loop)
    }
    actor Quitter: ThreadActor {
      nonisolated let thread: OffloadThread
      init(_ thread: OffloadThread) { self.thread = thread }
      func quit() async -> (Bool, Bool) {
        let before = thread.isCurrent
        await thread.shutdown()
        return (before, thread.isCurrent)
      }
    }
    #expect(await Quitter(thread).quit() == (true, false))
  }

  @Test func `C-42 a thread that is dropped ends after its work, also on that thread itself`() async throws {
    let log = Shared<[Int]>([])
    let identity = Shared<ThreadIdentity?>(nil)
    let (begun, gate) = (Event("a method that blocks"), Event("its end"))
    do {
      let thread = try OffloadThread()
      identity.value = thread.identity
      let clerk = Clerk(on: thread)
      try clerk.post { _ in
        begun.signal()
        gate.waitBlocking()
      }
      for number in 0..<10 { try clerk.post { _ in log.update { $0.append(number) } } }
    }
    try await begun.wait()
    gate.signal()
    await expectEventually { log.value == Array(0..<10) }
    if let identity = identity.value { await expectThreadGone(identity) }
  }

  @Test func `C-43 in the child of a fork a thread of the parent traps, and a new one works`() async {
    await #expect(processExitsWith: .success) {
      let clerk = Clerk(on: try OffloadThread(name: "parent's"))
      #expect(await clerk.isAtHome())
      let trapped = try await onPlainThread {
        try #require(
          Fork.child {
            try? clerk.post { _ in }
            return 0
          }
        ).wait()
      }
      #expect(trapped.isTrap)
      let works = try await onPlainThread {
        try #require(
          Fork.child {
            guard let own = try? OffloadThread() else { return 1 }
            let ran = Event("a call in the child")
            try? Clerk(on: own).post { _ in ran.signal() }
            ran.waitBlocking()
            return 0
          }
        ).wait()
      }
      #expect(works == .exited(0))
      #expect(await clerk.isAtHome())
    }
  }

  @Test(arguments: [0, -1, 1])
  func `C-43 a stack that the system does not make is refused`(size: Int) throws {
    let error = #expect(throws: UVError.self) { try OffloadThread(name: "deep", stackSize: size) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("thread \"deep\"") == true)
  }

  @Test(arguments: 0..<4 as Range<UInt64>)
  func `C-44 in a storm of calls, posts and ends each piece of work runs exactly once, and none beside another`(
    seed: UInt64
  ) async throws {
    var random = SplitMix(seed: seed)
    try await withTestLoop { loop, _ in
      try await withThrowingTaskGroup(of: Void.self) { storm in
        for _ in 0..<8 {
          let thread = try OffloadThread()
          let clerk = Clerk(on: thread)
          let ends = Int.random(in: 0..<600, using: &random)
          for number in 0..<300 {
            let kind = Int.random(in: 0..<3, using: &random)
            storm.addTask {
              if number == ends { await thread.shutdown() }
              switch kind {
              case 0: await clerk.note(number)
              case 1: await loop.run { _ in await clerk.note(number) }
              default:
                do { try clerk.post { $0.log.append(number) } } catch let error as UVError
                  where error.code == .poolClosed
                {
                  await clerk.note(number)
                }
              }
            }
          }
          storm.addTask {
            await expectEventually { await clerk.log.count == 300 }
            #expect(await clerk.log.sorted() == Array(0..<300))
          }
        }
        try await storm.waitForAll()
      }
    }
  }
}
