import Testing

@testable import UVLoop

/// Calls on a pool of one's own: where they run, in what order, how many at once, and how they end.
@Suite(.sideBySide) struct OffloadPoolTests {
  private struct Broken: Error, Equatable { let number: Int }
  private final class NotSendable { var number = 0 }

  @TaskLocal static var word = "unset"

  @Test func `C-22 a call of the loop's runs on a thread of the pool, and comes back`() async throws {
    try await withOffloadPool(name: "db", threads: 2) { pool in
      try await onTestLoop { loop, _ in
        let (thread, name, isOnLoop) = try await loop.offload(on: pool) {
          (ThreadIdentity.current, DetachedThread.currentName, EventLoop.current != nil)
        }
        #expect(thread != loop.thread && !isOnLoop && loop.isCurrent)
        #expect(name == "db-1")
        let box = try await loop.offload(on: pool) { () -> sending NotSendable in
          let box = NotSendable()
          box.number = 3
          return box
        }
        #expect(box.number == 3)
        await #expect(throws: Broken(number: 7)) { try await loop.offload(on: pool) { throw Broken(number: 7) } }
        #expect(loop.isCurrent)
      }
    }
  }

  @Test func `C-22 the task itself moves: its task-locals, its name and its cancellation are there`() async throws {
    try await withOffloadPool(threads: 1) { pool in
      let (word, name) = try await Self.$word.withValue("set") {
        try await Task(name: "mover") { try await pool.run { (Self.word, Task.name) } }.value
      }
      #expect(word == "set" && name == "mover")
      let begun = Event("the begin")
      let task = Task {
        try await pool.run {
          begun.signal()
          while !Task.isCancelled { Posix.yield() }
          return Task.isCancelled
        }
      }
      try await begun.wait()
      task.cancel()
      // It waits for the call, and gets its result.
      #expect(try await task.value)
    }
  }

  @Test func `C-22 code without a loop, callbacks and plain threads use it too`() async throws {
    try await withOffloadPool(threads: 1) { pool in
      #expect(try await pool.run { 1 } == 1)
      let done = Event("the closure")
      try pool.submit(label: "closure") { done.signal() }
      try await done.wait()
      #expect(try await onPlainThread { try pool.runBlocking { 2 } } == 2)
      await #expect(throws: Broken(number: 1)) {
        try await onPlainThread { try pool.runBlocking { throw Broken(number: 1) } }
      }
    }
  }

  @Test(arguments: [1, 2, 5, 64])
  func `C-23 no more threads are made than are needed, nor than there may be, and they stay`(limit: Int) async throws {
    try await withOffloadPool(name: "many", threads: limit) { pool in
      #expect(pool.statistics.threads == 0)
      // One after the other: a single thread is enough.
      for _ in 0..<10 { try await pool.run {} }
      #expect(pool.statistics.threads == 1)
      let held = try await HeldThreads(limit, of: pool)
      #expect(pool.statistics.threads == limit && pool.statistics.running == limit)
      let late = Task { try await pool.run(label: "late") { DetachedThread.currentName } }
      await expectEventually { pool.statistics.queued == 1 }
      #expect(pool.statistics.threads == limit)
      held.release()
      #expect(try await late.value.hasPrefix("many-"))
      await expectEventually { pool.statistics.running == 0 }
      #expect(pool.statistics.threads == limit)
    }
  }

  @Test func `C-23 calls begin in the order in which they came, whatever their priority`() async throws {
    try await withOffloadPool(threads: 1) { pool in
      let held = try await HeldThreads(1, of: pool)
      let order = Shared<[Int]>([])
      var tasks: [Task<Void, any Error>] = []
      for number in 0..<40 {
        let priority: TaskPriority = number % 2 == 0 ? .background : .high
        tasks.append(
          Task.immediate(priority: priority) { try await pool.run { order.update { $0.append(number) } } })
        await expectEventually { pool.statistics.queued == number + 1 }
      }
      held.release()
      for task in tasks { try await task.value }
      #expect(order.value == Array(0..<40))
    }
  }

  @Test(arguments: [true, false])
  func `C-24 a call that is abandoned lets its caller go at once, and its thread later`(hasLoop: Bool) async throws {
    try await withOffloadPool(threads: 1) { pool in
      let (begun, mayEnd) = (Event("the begin"), Event("the end"))
      try await withTestLoop { loop, _ in
        let task = Task {
          if hasLoop {
            try await loop.offload(on: pool, onCancel: .abandon) {
              begun.signal()
              mayEnd.waitBlocking()
            }
          } else {
            try await pool.run(onCancel: .abandon) {
              begun.signal()
              mayEnd.waitBlocking()
            }
          }
        }
        try await begun.wait()
        task.cancel()
        try await expectCancelled { try await task.value }
        #expect(pool.statistics.running == 1)
        mayEnd.signal()
        #expect(try await pool.run { 5 } == 5)
        await expectEventually { pool.statistics.running == 0 }
      }
    }
  }

  @Test func `C-25 beyond its limit the queue takes no more, and who waits for room comes in order`() async throws {
    try await withOffloadPool(name: "narrow", threads: 1, queueLimit: 2) { pool in
      let held = try await HeldThreads(1, of: pool)
      let order = Shared<[Int]>([])
      var tasks: [Task<Void, any Error>] = []
      for number in 0..<4 {
        tasks.append(Task { try await pool.run { order.update { $0.append(number) } } })
        await expectEventually { pool.statistics.queued + pool.statistics.waitingForRoom == number + 1 }
      }
      #expect(pool.statistics.queued == 2 && pool.statistics.waitingForRoom == 2)
      let refused = await #expect(throws: UVError.self) { try await pool.run(label: "one", whenFull: .fail) {} }
      #expect(refused?.code == .busy)
      #expect(refused?.message.contains("\"one\"") == true && refused?.message.contains("narrow") == true)
      #expect(throws: UVError.self) { try pool.submit {} }
      // Of those that wait for room the first is cancelled.
      tasks[2].cancel()
      try await expectCancelled { try await tasks[2].value }
      #expect(pool.statistics.waitingForRoom == 1)
      held.release()
      for number in [0, 1, 3] { try await tasks[number].value }
      #expect(order.value == [0, 1, 3])
      try await pool.run(whenFull: .fail) {}
    }
  }

  @Test func `C-25 a call for which there is a thread is never refused`() async throws {
    try await withOffloadPool(threads: 3, queueLimit: 0) { pool in
      for _ in 0..<200 {
        let ends = Event("the end of a closure")
        let gate = Event("the release")
        for _ in 0..<3 {
          try pool.submit {
            gate.waitBlocking()
            ends.signal()
          }
        }
        try expectCode(.busy) { try pool.submit {} }
        gate.signal()
        try await ends.wait(times: 3)
        await expectEventually { pool.statistics.running == 0 }
      }
    }
  }

  @Test func `C-26 tasks that prefer the pool run there, and their jobs pass by the limit`() async throws {
    try await withOffloadPool(name: "tasks", threads: 2, queueLimit: 0) { pool in
      let names = await withTaskGroup(of: String.self) { group in
        for _ in 0..<20 {
          group.addTask(executorPreference: pool.taskExecutor) {
            await Task.yield()
            return DetachedThread.currentName
          }
        }
        return await group.reduce(into: Set<String>()) { $0.insert($1) }
      }
      #expect(names.isSubset(of: ["tasks-1", "tasks-2"]))
      let held = try await HeldTasks(2, on: pool)
      let late = Task(executorPreference: pool.taskExecutor) { DetachedThread.currentName }
      await expectEventually { pool.statistics.tasksQueued == 1 }
      #expect(pool.statistics.tasksRunning == 2 && pool.statistics.running == 2 && pool.statistics.queued == 0)
      held.release()
      #expect(await late.value.hasPrefix("tasks-"))
    }
  }

  @Test func `C-27 a hook opens what belongs to a thread, and another closes it on that thread`() async throws {
    let (opened, closed) = (Shared<Set<ThreadIdentity>>([]), Shared<Set<ThreadIdentity>>([]))
    try await withOffloadPool(
      threads: 3, onThreadStart: { opened.update { _ = $0.insert(.current) } },
      onThreadEnd: { closed.update { _ = $0.insert(.current) } }
    ) { pool in
      let held = try await HeldThreads(3, of: pool)
      #expect(opened.value.count == 3 && closed.value.isEmpty)
      held.release()
    }
    // The shutdown waits for them.
    #expect(closed.value == opened.value)
  }

  @Test func `C-27 a start hook that throws ends its thread, and without any what waits gets its error`() async throws {
    let isBroken = Shared(true)
    let pool = try OffloadPool(
      name: "broken", threads: 2,
      onThreadStart: { if isBroken.value { throw Broken(number: 3) } })
    await #expect(throws: Broken(number: 3)) { try await pool.run {} }
    await #expect(throws: Broken(number: 3)) { try await onPlainThread { try pool.runBlocking {} } }
    await expectEventually { pool.statistics.threads == 0 }
    isBroken.value = false
    try await pool.run {}
    isBroken.value = true
    // With another thread there the call waits for that.
    let held = try await HeldThreads(1, of: pool)
    let late = Task { try await pool.run { 4 } }
    await expectEventually { pool.statistics.queued == 1 && pool.statistics.threads == 1 }
    held.release()
    #expect(try await late.value == 4)
    await pool.shutdown()
  }

  @Test func `C-27 while a start hook takes long the other threads go on, also where it throws then`() async throws {
    let (mayStart, count) = (Event("the end of the slow hook"), Counter())
    let pool = try OffloadPool(
      threads: 2,
      onThreadStart: {
        count.add()
        if count.value == 1 { return }
        mayStart.waitBlocking()
        throw Broken(number: 2)
      })
    let held = try await HeldThreads(1, of: pool)
    let next = Task { try await pool.run { 1 } }
    await expectEventually { count.value == 2 }
    held.release()
    #expect(try await next.value == 1)
    for number in 0..<20 { #expect(try await pool.run { number } == number) }
    mayStart.signal()
    await expectEventually { pool.statistics.threads == 1 }
    #expect(try await pool.run { 3 } == 3)
    await pool.shutdown()
  }

  @Test func `C-27 where the last threads wait for a call whose thread cannot start it gets the error`() async throws {
    let count = Counter()
    let pool = try OffloadPool(
      threads: 2,
      onThreadStart: {
        count.add()
        if count.value > 1 { throw Broken(number: 2) }
      })
    await #expect(throws: Broken(number: 2)) { try await pool.run { try pool.runBlocking {} } }
    await pool.shutdown()
  }

  @Test(arguments: [0, -1, 1_025, .min, .max])
  func `C-28 a number of threads that is out of range is refused`(threads: Int) {
    let error = #expect(throws: UVError.self) { try OffloadPool(name: "odd", threads: threads) }
    #expect(error?.code == .invalidArgument && error?.message.contains("odd") == true)
  }

  @Test func `C-28 a limit below zero and a stack that is too small are refused, and a large one is there`()
    async throws
  {
    try expectCode(.invalidArgument) { _ = try OffloadPool(queueLimit: -1) }
    for size in [1_000, 0, -1] { try expectCode(.invalidArgument) { _ = try OffloadPool(stackSize: size) } }
    try await withOffloadPool(threads: 1, stackSize: 64 << 20) { pool in
      let size = try await pool.run { CallStack.own.count }
      #expect(size >= 64 << 20)
    }
  }

  @Test func `C-29 statistics tell what runs, its age, and how long calls have waited`() async throws {
    try await withOffloadPool(threads: 2) { pool in
      let held = try await HeldThreads(2, of: pool)
      let tasks = (0..<3).map { _ in Task { try await pool.run {} } }
      await expectEventually { pool.statistics.queued == 3 }
      let statistics = pool.statistics
      #expect(Set(statistics.jobs.map(\.label)) == ["holder 1", "holder 2"])
      #expect(statistics.jobs.allSatisfy { $0.age > .zero && $0.age < .seconds(60) })
      #expect(statistics.oldestQueued.map { $0 > .zero } == true)
      held.release()
      for task in tasks { try await task.value }
      await expectEventually { pool.statistics.running == 0 && pool.statistics.runs.count == 5 }
      #expect(pool.statistics.waits.count == 5)
      #expect(pool.statistics.oldestQueued == nil)
    }
  }

  @Test func `C-30 on a loop's thread runBlocking is refused, and on another pool's it is not`() async throws {
    try await withOffloadPool(name: "inner", threads: 1) { inner in
      try await onTestLoop { loop, _ in
        try expectCode(.wouldDeadlock) { try inner.runBlocking {} }
        try expectCode(.wouldDeadlock) { try inner.shutdownBlocking() }
      }
      try await withOffloadPool(name: "outer", threads: 1) { outer in
        let number = try await outer.run { try inner.runBlocking { 9 } }
        #expect(number == 9)
      }
    }
  }

  @Test func `a call with a limit that is over never begins, or loses its result`() async throws {
    try await withOffloadPool(threads: 1) { pool in
      let held = try await HeldThreads(1, of: pool)
      let hasRun = Shared(false)
      try await expectCode(.timedOut) {
        try await onPlainThread { try pool.runBlocking(timeout: .milliseconds(10)) { hasRun.value = true } }
      }
      try await expectCode(.timedOut) { try await onPlainThread { try pool.runBlocking(timeout: .zero) {} } }
      held.release()
      try await pool.run {}
      #expect(!hasRun.value)
    }
  }

  @Test func `many callers at once each get their own result, on every thread`() async throws {
    try await withOffloadPool(threads: 4) { pool in
      try await withTestLoop { loop, _ in
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
          for number in 0..<5_000 {
            group.addTask {
              switch number % 3 {
              case 0: try await pool.run { number }
              case 1: try await loop.offload(on: pool) { number }
              default: try await loop.run { loop in try await loop.offload(on: pool) { number } }
              }
            }
          }
          return try await group.reduce(0, +)
        }
        #expect(sum == 4_999 * 5_000 / 2)
      }
    }
  }
}

/// Tasks that prefer a pool and keep its threads until they are let go.
private final class HeldTasks: Sendable {
  private let gate = Event("the release of held tasks")

  init(_ count: Int, on pool: OffloadPool) async throws {
    let begun = Event("the begin of held tasks")
    let gate = gate
    for _ in 0..<count {
      Task(executorPreference: pool.taskExecutor) { @Sendable in HeldTasks.hold(begun, gate) }
    }
    try await begun.wait(times: count)
  }

  private static func hold(_ begun: Event, _ gate: Event) {
    begun.signal()
    gate.waitBlocking(within: .seconds(60))
  }

  func release() { gate.signal() }
}
