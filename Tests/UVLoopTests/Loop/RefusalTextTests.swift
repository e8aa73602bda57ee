import Testing

@testable import UVLoop

/// What the errors say.
@Suite(.alone) struct RefusalTextTests {
  /// Every call that a loop refuses once it has been shut down.
  enum Refused: String, CaseIterable, Sendable {
    case post
    case actorPost = "post to an actor"
    case runBlocking
    case task
    case sleep
    case clockSleep = "Clock.sleep"
    case ticks = "Ticks.next"
    case signals = "Signals.next"
    case withTimeout
    case offload
    case schedule
    case onShutdown
    case promise = "Promise.init"
    case timer = "TimerHandle.init"
    case async = "AsyncHandle.init"
    case poll = "PollHandle.init"
    case signal = "SignalHandle.init"
  }

  @Test(arguments: Refused.allCases)
  func `H-04 loopClosed names the loop and the call that it refused`(_ call: Refused) async throws {
    let loop = try EventLoop(.init(name: "kitchen"))
    await loop.shutdown()
    let error = await #expect(throws: UVError.self) { try await make(call, on: loop) }
    let name = call == .actorPost ? "post" : call.rawValue
    #expect(error?.code == .loopClosed)
    #expect(error?.call == name)
    #expect(error?.message.contains("\"kitchen\"") == true)
    #expect(error?.message.contains(name) == true)
    #expect(error.map { "\($0)" }?.hasPrefix("loopClosed in \(name): ") == true)
  }

  @Test func `H-04 a handle that the loop has closed says loopClosed, with the loop and the call`() async throws {
    let loop = try EventLoop(.init(name: "kitchen"))
    let timer = try await loop.run { _ in Disconnected(try TimerHandle()) }
    await loop.shutdown()
    let error = #expect(throws: UVError.self) { try timer.take().start(after: .zero) {} }
    #expect(error?.code == .loopClosed)
    #expect(error?.call == "TimerHandle.start")
    #expect(error?.message.contains("\"kitchen\"") == true)
  }

  @Test func `H-05 wouldDeadlock of runBlocking names the waiting thread, who runs there and the call to use instead`()
    async throws
  {
    try await withTestLoop("kitchen") { kitchen, _ in
      try await withTestLoop("garden") { garden, _ in
        let error = await #expect(throws: UVError.self) {
          try await garden.run { _ in try kitchen.runBlocking { _ in } }
        }
        #expect(error?.code == .wouldDeadlock)
        #expect(error?.message.contains("called on \(garden.thread)") == true)
        #expect(error?.message.contains("wait for loop \"kitchen\" on \(kitchen.thread)") == true)
        #expect(error?.message.contains("stop loop \"garden\", which runs here") == true)
        #expect(error?.message.contains("Use `try await loop.run { loop in … }` instead") == true)
      }
    }
  }

  @Test func `H-05 wouldDeadlock of offload names the waiting thread, every holder and what to do instead`()
    async throws
  {
    // The pool is the process's.
    await #expect(processExitsWith: .success) {
      let loop = try EventLoop(.init(name: "kitchen"))
      let held = Event("every worker is held")
      let errors = Shared<[UVError]>([])
      try await withThrowingTaskGroup { group in
        for number in 1...ThreadPool.size {
          group.addTask {
            try await loop.offload(label: "holder \(number)") {
              held.signal()
              held.waitBlocking(times: ThreadPool.size)
              do {
                try loop.runBlocking { loop in try await loop.offload(label: "inner") {} }
              } catch let error as UVError {
                errors.update { $0.append(error) }
              }
            }
          }
        }
        try await group.waitForAll()
      }
      let error = try #require(errors.value.first)
      #expect(error.code == .wouldDeadlock)
      #expect(error.call == "offload")
      for number in 1...4 { #expect(error.message.contains("\"holder \(number)\"")) }
      #expect(error.message.contains("\(loop.thread)"))
      #expect(error.message.contains("ThreadPool.setSize"))
      await loop.shutdown()
    }
  }

  @Test func `H-06 timedOut of withTimeout names the limit and the call`() async throws {
    try await onTestLoop { loop, _ in
      for (limit, text) in [(Duration.zero, " 0 ns "), (.milliseconds(5), " 5 ms ")] {
        let error = await #expect(throws: UVError.self) {
          try await loop.withTimeout(limit) { try await loop.sleep(for: .seconds(1_000)) }
        }
        #expect(error?.code == .timedOut)
        #expect(error?.call == "withTimeout")
        #expect(error?.message.contains(text) == true)
      }
    }
  }

  @Test func `H-06 timedOut of runBlocking names the limit and the call`() async throws {
    try await withTestLoop { loop, _ in
      for (limit, text) in [(Duration.zero, " 0 ns "), (.milliseconds(5), " 5 ms ")] {
        let error = await #expect(throws: UVError.self) {
          try await onPlainThread {
            try loop.runBlocking(timeout: limit) { loop in try await loop.sleep(for: .seconds(1_000)) }
          }
        }
        #expect(error?.code == .timedOut)
        #expect(error?.call == "runBlocking")
        #expect(error?.message.contains(text) == true)
        #expect(error?.message.contains("runBlocking(timeout:)") == true)
      }
    }
  }
}

private func make(_ call: RefusalTextTests.Refused, on loop: EventLoop) async throws {
  switch call {
  case .post: try loop.post {}
  case .actorPost: try loop.post { _ in }
  case .runBlocking: try await onPlainThread { try loop.runBlocking { _ in } }
  case .task: try await loop.task { _ in try Task.checkCancellation() }.value
  case .sleep: try await loop.sleep(for: .seconds(1_000))
  case .clockSleep: try await Task.sleep(for: .seconds(1_000), clock: loop.clock)
  case .ticks: for try await _ in try loop.ticks(every: .seconds(1_000)) {}
  case .signals: for try await _ in try loop.signals(.windowChange) {}
  case .withTimeout: try await loop.withTimeout(.seconds(1_000)) {}
  case .offload: try await loop.offload {}
  case .schedule: try await loop.run { loop in _ = try loop.schedule(after: .zero) {} }
  case .onShutdown: try await loop.run { loop in _ = try loop.onShutdown {} }
  case .promise: try await loop.run { _ in _ = try Promise<Int>() }
  case .timer: try await loop.run { _ in _ = try TimerHandle() }
  case .async: try await loop.run { _ in _ = try AsyncHandle {} }
  case .poll: try await loop.run { _ in _ = try PollHandle(descriptor: 0) }
  case .signal: try await loop.run { _ in _ = try SignalHandle(.windowChange) }
  }
}
