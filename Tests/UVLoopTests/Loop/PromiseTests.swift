import Testing

@testable import UVLoop

@Suite(.sideBySide) struct PromiseTests {
  private struct Refusal: Error, Equatable {}

  @Test func `K-16 a promise resumed from a callback resumes every waiting task with no wake`() async throws {
    try await withTestLoop { loop, calls in
      let actor = Holder(on: loop)
      let (values, traffic) = try await actor.awaitedByMany(100)
      #expect(values == Array(repeating: 42, count: 100))
      #expect(traffic == .none)
    }
  }

  private actor Holder: LoopActor {
    nonisolated let loop: EventLoop
    private(set) var promise: Promise<Int>?

    init(on loop: EventLoop) { self.loop = loop }

    func make() throws { promise = try Promise() }

    func value() async throws -> Int? { try await promise?.value() }

    func give(_ value: Int) -> Bool? { promise?.resume(returning: value) }

    var waiters: Int? { promise.map { Int($0.description.filter(\.isNumber)) ?? 0 } }

    /// Lets many plain tasks wait; what they got, and the wakes and messages that the loop got for it.
    func awaitedByMany(_ count: Int) async throws -> (values: [Int], traffic: LoopProbe.Traffic) {
      try make()
      let values = Shared<[Int]>([])
      let tasks = (0..<count).map { _ in
        Task {
          let value = try await self.value()
          values.update { $0.append(value ?? 0) }
        }
      }
      while waiters != count { try await loop.sleep(for: .zero) }
      let traffic = try await loop.probe.traffic {
        let timer = try TimerHandle()
        try timer.start(after: .milliseconds(1)) { self.promise?.resume(returning: 42) }
        while values.value.count < count { try await loop.sleep(for: .zero) }
      }
      for task in tasks { try await task.value }
      return (values.value, traffic)
    }
  }

  @Test func `K-16 the first of two results wins and the second resume is false`() async throws {
    try await onTestLoop { loop, calls in
      let promise = try Promise<Int>()
      #expect(!promise.isResumed)
      #expect(promise.resume(returning: 1))
      #expect(promise.isResumed)
      #expect(!promise.resume(returning: 2))
      #expect(!promise.resume(throwing: Refusal()))
      #expect(!promise.resume(with: .success(3)))
      #expect(try await promise.value() == 1)
      #expect(try await promise.value() == 1)
    }
  }

  @Test func `K-16 an error that comes first wins over a value, and every call to value throws it`() async throws {
    try await onTestLoop { loop, calls in
      let promise = try Promise<Int>()
      #expect(promise.resume(throwing: Refusal()))
      #expect(!promise.resume(returning: 2))
      for _ in 0..<2 {
        await #expect(throws: Refusal()) { try await promise.value() }
      }
    }
  }

  @Test func `K-16 unresumed at shutdown its waiters get loopClosed`() async throws {
    try await withTestLoop { loop, calls in
      let holder = Holder(on: loop)
      try await holder.make()
      let tasks = (0..<5).map { _ in Task { try await holder.value() } }
      await expectEventually { await holder.waiters == 5 }
      await loop.shutdown()
      for task in tasks { try await expectCode(.loopClosed) { _ = try await task.value } }
    }
  }

  @Test func `K-16 after shutdown a promise cannot be made, and an old one refuses new waiters`() async throws {
    try await withTestLoop { loop, calls in
      let holder = Holder(on: loop)
      try await holder.make()
      await loop.shutdown()
      try await expectCode(.loopClosed) { _ = try await holder.value() }
      try await expectCode(.loopClosed) { try await holder.make() }
    }
  }

  @Test func `K-16 a cancelled waiter gets CancellationError while the others go on`() async throws {
    try await withTestLoop { loop, calls in
      let holder = Holder(on: loop)
      try await holder.make()
      let tasks = (0..<3).map { _ in Task { try await holder.value() } }
      await expectEventually { await holder.waiters == 3 }
      tasks[1].cancel()
      try await expectCancelled { _ = try await tasks[1].value }
      await expectEventually { await holder.waiters == 2 }
      #expect(await holder.give(9) == true)
      for index in [0, 2] {
        let value = try await tasks[index].value
        #expect(value == 9)
      }
    }
  }

  @Test func `K-16 in a task that is already cancelled a result that is there is given, and a wait is not begun`()
    async throws
  {
    try await onTestLoop { loop, calls in
      let task = loop.task { loop in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        let promise = try Promise<Int>()
        let isCancelled = try await endsCancelled { _ = try await promise.value() }
        promise.resume(returning: 5)
        return (isCancelled, try await promise.value())
      }
      let (isCancelled, value) = try await task.value
      #expect(isCancelled)
      #expect(value == 5)
    }
  }

  @Test func `K-16 a result and a cancellation that race give each waiter one of the two`() async throws {
    try await withTestLoop { loop, calls in
      let (values, cancelled) = (Counter(), Counter())
      for _ in 0..<100 {
        let holder = Holder(on: loop)
        try await holder.make()
        let tasks = (0..<10).map { _ in
          Task {
            do {
              if try await holder.value() == 1 { values.add() }
            } catch is CancellationError { cancelled.add() }
          }
        }
        let race = PlainThread { for task in tasks { task.cancel() } }
        let giver = Task { await holder.give(1) }
        for task in tasks { try await task.value }
        try await race.join()
        #expect(await giver.value == true)
      }
      #expect(values.value + cancelled.value == 1_000)
    }
  }

  @Test func `K-16 what the result captured is released with the promise`() async throws {
    try await onTestLoop { loop, calls in
      let gone = Counter()
      do {
        let promise = try Promise<Witness>()
        promise.resume(returning: Witness(gone))
        try await promise.value().hold()
      }
      #expect(gone.value == 1)
    }
  }
}
