import Testing

@testable import UVLoop

/// Making several loops, choosing among them, and ending them.
@Suite(.sideBySide) struct EventLoopGroupTests {
  @Test func `a group has so many loops, each with a thread and a name of its own`() async throws {
    try await withTestGroup(count: 3) { group in
      #expect(group.loops.map(\.name) == ["test-1", "test-2", "test-3"])
      #expect(Set(group.loops.map(\.thread.kernelID)).count == 3)
      #expect(group.description == "EventLoopGroup of 3: \"test-1\", \"test-2\", \"test-3\"")
    }
  }

  @Test func `without a count there is a loop for each CPU that this process may use`() async throws {
    let group = try EventLoopGroup()
    #if os(Linux)
      #expect(group.loops.count == CPUs.allowed.count)
    #endif
    #expect(group.loops.first?.name == "uv-loop-1")
    await group.shutdown()
  }

  @Test(arguments: [0, -1])
  func `a group without loops is refused`(count: Int) async throws {
    let error = #expect(throws: UVError.self) { _ = try EventLoopGroup(count: count) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("Give at least 1") == true)
    try await expectCode(.invalidArgument) { try await withEventLoopGroup(count: count) { _ in } }
  }

  @Test func `an option that no loop may have is refused, and no loop is left`() async throws {
    #expect(throws: UVError.self) { _ = try EventLoopGroup(count: 2, .init(name: "")) }
    // The number makes the second one's name too long.
    let name = String(repeating: "n", count: 253)
    let error = #expect(throws: UVError.self) { _ = try EventLoopGroup(count: 11, .init(name: name)) }
    #expect(error?.code == .invalidArgument)
    #if os(Linux)
      await expectEventually {
        !Process.threads.contains { Process.contents(of: "/proc/self/task/\($0)/comm").hasPrefix("nnnn") }
      }
    #endif
  }

  @Test func `next gives one loop after the other, and leaves out those that have ended`() async throws {
    try await withTestGroup(count: 3) { group in
      #expect((0..<7).map { _ in group.next().name } == [1, 2, 3, 1, 2, 3, 1].map { "test-\($0)" })
      await group.loops[1].shutdown()
      #expect(!(0..<6).map { _ in group.next().name }.contains("test-2"))
      await group.shutdown()
      // What a loop that has ended says is better than none.
      let last = group.next()
      #expect(last.state == .stopped)
      #expect(throws: UVError.self) { try last.post {} }
    }
  }

  @Test func `many threads that ask get each loop as often`() async throws {
    try await withTestGroup(count: 4) { group in
      let counts = try await withThrowingTaskGroup(of: [Int].self) { tasks in
        for _ in 0..<4 {
          tasks.addTask { try await onPlainThread { (0..<1_000).map { _ in Int(group.index(of: group.next())) } } }
        }
        return try await tasks.reduce(into: [0, 0, 0, 0]) { for index in $1 { $0[index] += 1 } }
      }
      #expect(counts == [1_000, 1_000, 1_000, 1_000])
    }
  }

  @Test func `shutdown ends all loops beside each other, and reports in their order`() async throws {
    let group = try EventLoopGroup(count: 3, .init(name: "test"))
    let (begun, gate) = (Event("a task"), Event("the release of a task"))
    group.loops[1].task(name: "late") { _ in
      begun.signal()
      try? await gate.wait()
    }
    try await begun.wait()
    let reports = await group.shutdown(within: .milliseconds(50))
    gate.signal()
    #expect(reports.map { $0.unfinished.map(\.label) } == [[], ["late"], []])
    #expect(group.loops.allSatisfy { $0.state == .stopped })
    #expect(await group.shutdown().count == 3)
  }

  @Test func `a task of one of the loops may ask for the shutdown of all`() async throws {
    let group = try EventLoopGroup(count: 3, .init(name: "test"))
    let reports = await group.loops[2].task { _ in await group.shutdown() }.value
    #expect(reports.map(\.unfinished.count) == [0, 0, 0])
  }

  // MARK: withEventLoopGroup

  @Test func `a body gets the group where it is called, and gives its result`() async throws {
    let seen = Shared<[EventLoop]>([])
    let result = try await withEventLoopGroup(count: 2, .init(name: "body")) { group in
      seen.value = group.loops
      #expect(EventLoop.current == nil)
      return await group.loops[1].run { loop in loop.name }
    }
    #expect(result == "body-2")
    #expect(seen.value.count == 2 && seen.value.allSatisfy { $0.state == .stopped })
  }

  @MainActor @Test func `a body runs in the caller's isolation`() async throws {
    var count = 0
    try await withEventLoopGroup(count: 2) { group in
      MainActor.assertIsolated()
      count += await group.next().run { _ in 2 }
      MainActor.assertIsolated()
    }
    #expect(count == 2)
  }

  @Test func `a body that throws, and one that is cancelled, end all loops`() async throws {
    struct Odd: Error {}
    let seen = Shared<[EventLoop]>([])
    await #expect(throws: Odd.self) {
      try await withEventLoopGroup(count: 2) { group in
        seen.value = group.loops
        throw Odd()
      }
    }
    #expect(seen.value.allSatisfy { $0.state == .stopped })

    let begun = Event("the body")
    let task = Task {
      try await withEventLoopGroup(count: 2) { group in
        seen.value = group.loops
        begun.signal()
        try await group.loops[1].sleep(for: .seconds(1_000))
      }
    }
    try await begun.wait()
    task.cancel()
    try await expectCancelled { try await task.value }
    #expect(seen.value.allSatisfy { $0.state == .stopped })
  }
}
