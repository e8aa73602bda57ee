import Testing

@testable import UVLoop

/// Asynchronous calls stay on the loop's thread: neither a wake of the loop nor a message from another thread.
@Suite(.alone) struct WakeTests {
  enum Call: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case run, runAsync, sleep, sleepUntil, tick, timeout, timeoutWithSleep, actorMethod, promise, promiseLater

    var testDescription: String { rawValue }
  }

  private actor Neighbour: LoopActor {
    nonisolated let loop: EventLoop
    private var count = 0

    init(on loop: EventLoop) { self.loop = loop }

    func touch() -> Int {
      count += 1
      return count
    }
  }

  private actor Probe: LoopActor {
    nonisolated let loop: EventLoop
    private let neighbour: Neighbour

    init(on loop: EventLoop) {
      self.loop = loop
      neighbour = Neighbour(on: loop)
    }

    /// Makes the call a hundred times; how many wakes and messages from other threads the loop got meanwhile, and how
    /// often the code was elsewhere afterwards.
    private func rounds(of call: Call) async throws -> [Int] {
      var ticks = try loop.ticks(every: .microseconds(200)).makeAsyncIterator()
      var strays = 0
      let traffic = try await loop.probe.traffic {
        for _ in 0..<100 {
          switch call {
          case .run: #expect(await loop.run { $0.isCurrent })
          case .runAsync:
            #expect(
              try await loop.run { loop in
                try await loop.sleep(for: .zero)
                return loop.isCurrent
              })
          case .sleep: try await loop.sleep(for: .zero)
          case .sleepUntil: try await loop.sleep(until: loop.clock.now.advanced(by: .microseconds(100)))
          case .tick: #expect(try await ticks.next(isolation: self) != nil)
          case .timeout: #expect(try await loop.withTimeout(.seconds(60)) { true })
          case .timeoutWithSleep: try await loop.withTimeout(.seconds(60)) { try await loop.sleep(for: .zero) }
          case .actorMethod: #expect(await neighbour.touch() > 0)
          case .promise:
            let promise = try Promise<Int>()
            promise.resume(returning: 1)
            #expect(try await promise.value() == 1)
          case .promiseLater:
            let promise = try Promise<Int>()
            try loop.schedule(after: .zero) { promise.resume(returning: 1) }
            #expect(try await promise.value() == 1)
          }
          if !loop.isCurrent { strays += 1 }
        }
      }
      return [traffic.wakes, traffic.posts, strays]
    }

    /// In a task that does not prefer the loop.
    func inPlainTask(_ call: Call) async throws -> [Int] {
      try await Task { try await self.rounds(of: call) }.value
    }

    func inTaskOfTheLoop(_ call: Call) async throws -> [Int] { try await rounds(of: call) }
  }

  @Test(arguments: Call.allCases)
  func `D-05 in a body of run 100 rounds of each call cause no wake`(call: Call) async throws {
    try await onTestLoop { loop, calls in
      let counts = try await Probe(on: loop).inTaskOfTheLoop(call)
      #expect(counts == [0, 0, 0])
    }
  }

  @Test(arguments: Call.allCases)
  func `D-05 in a task of the loop 100 rounds of each call cause no wake`(call: Call) async throws {
    try await withTestLoop { loop, calls in
      let task = loop.task { loop in try await Probe(on: loop).inTaskOfTheLoop(call) }
      let counts = try await task.value
      #expect(counts == [0, 0, 0])
    }
  }

  @Test(arguments: Call.allCases.filter { $0 != .runAsync })
  func `D-05 in a plain task of a LoopActor 100 rounds of each call cause no wake`(call: Call) async throws {
    try await withTestLoop { loop, calls in
      let counts = try await Probe(on: loop).inPlainTask(call)
      #expect(counts == [0, 0, 0])
    }
  }

  @Test func `D-05 the counters do count: a continuation resumed elsewhere causes wakes`() async throws {
    try await withTestLoop { loop, calls in
      let wakes = await loop.run { loop in
        await loop.probe.wakes {
          for _ in 0..<10 {
            await withCheckedContinuation { [loop] waiter in
              PlainThread {
                // A loop that does not sleep yet needs no wake.
                while !loop.probe.isAsleep { Posix.yield() }
                waiter.resume()
              }
            }
          }
        }
      }
      #expect(wakes > 0)
    }
  }

  enum Wait: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case yield, sleep, continuation, childTask, asyncLet, defaultActor, taskValue, stream

    var testDescription: String { rawValue }
  }

  private actor Default {
    func thread() -> ThreadIdentity { .current }
  }

  /// Waits, and gives the threads on which the code was during the wait (where it can tell) and after it.
  private static func threads(after wait: Wait, actor: Default) async throws -> Set<ThreadIdentity> {
    var during: ThreadIdentity?
    switch wait {
    case .yield: await Task.yield()
    case .sleep: try await Task.sleep(for: .milliseconds(1))
    case .continuation: await withCheckedContinuation { waiter in PlainThread { waiter.resume() } }
    case .childTask:
      during = await withTaskGroup(of: ThreadIdentity.self) { group in
        group.addTask { .current }
        return await group.next()
      }
    case .asyncLet:
      async let child = threadOfChild()
      during = await child
    case .defaultActor: during = await actor.thread()
    case .taskValue: await Task.detached {}.value
    case .stream:
      let (stream, end) = AsyncStream.makeStream(of: Int.self)
      PlainThread {
        end.yield(1)
        end.finish()
      }
      for await _ in stream {}
    }
    let after = ThreadIdentity.current
    return [during ?? after, after]
  }

  @concurrent private static func threadOfChild() async -> ThreadIdentity { .current }

  @Test(arguments: Wait.allCases)
  func `D-06 in a task of the loop the code is on its thread after and during a wait`(wait: Wait) async throws {
    try await withTestLoop { loop, calls in
      let actor = Default()
      let task = loop.task { loop in
        let threads = try await Self.threads(after: wait, actor: actor)
        return threads.union([.current])
      }
      let threads = try await task.value
      #expect(threads == [loop.thread])
    }
  }

  @Test(arguments: Wait.allCases)
  func `D-07 in a task that prefers the loop's executor the code is on its thread too`(wait: Wait) async throws {
    try await withTestLoop { loop, calls in
      let actor = Default()
      let task = Task(executorPreference: loop.taskExecutor) { try await Self.threads(after: wait, actor: actor) }
      let threads = try await task.value
      #expect(threads == [loop.thread])
    }
  }

  @Test(arguments: Wait.allCases)
  func `D-07 under withTaskExecutorPreference the code is on the loop's thread too`(wait: Wait) async throws {
    try await withTestLoop { loop, calls in
      let actor = Default()
      let threads = try await withTaskExecutorPreference(loop.taskExecutor) { @concurrent in
        try await Self.threads(after: wait, actor: actor)
      }
      #expect(threads == [loop.thread])
    }
  }

  @Test func `D-07 a bare Task inside does not inherit the preference`() async throws {
    try await withTestLoop { loop, calls in
      let outer = Task(executorPreference: loop.taskExecutor) {
        let inner = await Task { ThreadIdentity.current }.value
        return (inner, ThreadIdentity.current)
      }
      let (inner, around) = await outer.value
      #expect(inner != loop.thread)
      #expect(around == loop.thread)
    }
  }

  @Test func `D-08 an immediate task in a callback runs up to its first suspension before it returns`() async throws {
    try await onTestLoop { loop, calls in
      let order = Shared<[String]>([])
      let done = Event("the end of the immediate task")
      try loop.post { loop in
        Task.immediate {
          order.update { $0.append("begins, on the loop: \(loop.isCurrent)") }
          do { try await loop.sleep(for: .zero) } catch { Issue.record(error) }
          order.update { $0.append("ends, on the loop: \(loop.isCurrent)") }
          done.signal()
        }
        order.update { $0.append("has returned") }
      }
      try await done.wait()
      #expect(order.value == ["begins, on the loop: true", "has returned", "ends, on the loop: true"])
    }
  }

  @Test func `D-09 the name given to a task of the loop is Task.name in its body`() async throws {
    try await withTestLoop { loop, calls in
      let named = loop.task(name: "gauge") { _ in Task.name }
      let unnamed = loop.task { _ in Task.name }
      #expect(await named.value == "gauge")
      #expect(await unnamed.value == nil)
    }
  }
}
