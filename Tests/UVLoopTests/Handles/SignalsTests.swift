import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.alone) struct SignalsTests {
  /// Whether the process does what it does by default about a signal.
  static func isDefault(_ signal: Signal) -> Bool {
    var now = sigaction()
    guard unsafe sigaction(signal.rawValue, nil, &now) == 0 else { return false }
    return unsafe now.__sigaction_handler.sa_handler == nil
  }

  @Test func `M-11 signals gives each signal that comes, on the loop`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        var signals = try loop.signals(.interrupt, .terminate).makeAsyncIterator()
        var seen: [Signal?] = []
        for signal in [Signal.interrupt, .terminate, .interrupt] {
          SignalHandleTests.send(signal)
          seen.append(try await signals.next(isolation: loop))
          #expect(loop.isCurrent)
        }
        #expect(seen == [.interrupt, .terminate, .interrupt])
      }
    }
  }

  @Test func `M-11 signals that come while the consumer is busy are kept, once for each number`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        var signals = try loop.signals(.interrupt, .terminate).makeAsyncIterator()
        let witness = try SignalHandle(.terminate)
        let seen = Event("SIGTERM")
        try witness.start { seen.signal() }
        // To this thread, so that all of them have arrived.
        for _ in 0..<3 { pthread_kill(pthread_self(), SIGINT) }
        try await iterate(loop)
        SignalHandleTests.send(.terminate)
        try await seen.wait()
        #expect(try await signals.next(isolation: loop) == .interrupt)
        #expect(try await signals.next(isolation: loop) == .terminate)
        SignalHandleTests.send(.terminate)
        #expect(try await signals.next(isolation: loop) == .terminate)
        witness.close()
      }
    }
  }

  @Test func `M-11 the iteration ends when its task is cancelled, and restores what was there`() async {
    await #expect(processExitsWith: .success) {
      SignalHandleTests.OldHandler.install(for: .interrupt)
      try await withTestLoop { loop, calls in
        let seen = Event("a signal")
        let task = loop.task { loop in
          for try await signal in try loop.signals(.interrupt, .terminate) {
            calls.mark("\(signal)")
            seen.signal()
          }
          calls.mark("end")
        }
        await expectEventually { !SignalsTests.isDefault(.terminate) }
        SignalHandleTests.send(.terminate)
        try await seen.wait()
        #expect(SignalHandleTests.OldHandler.calls.value == 0)
        task.cancel()
        try await task.value
        #expect(calls.log == ["SIGTERM", "end"])
        await expectEventually { SignalsTests.isDefault(.terminate) }
        SignalHandleTests.send(.interrupt)
        await expectEventually { SignalHandleTests.OldHandler.calls.value == 1 }
      }
    }
  }

  @Test func `M-11 an iteration in a task off the loop sees signals and ends by cancellation too`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        let seen = Event("a signal")
        let task = Task.detached {
          for try await signal in try loop.signals(.user1) {
            #expect(signal == .user1)
            #expect(!loop.isCurrent)
            seen.signal()
          }
        }
        await expectEventually { !SignalsTests.isDefault(.user1) }
        for times in 1...3 {
          SignalHandleTests.send(.user1)
          try await seen.wait(times: times)
        }
        task.cancel()
        try await task.value
        await expectEventually { SignalsTests.isDefault(.user1) }
      }
    }
  }

  @Test func `M-11 in a task that is already cancelled the iteration ends at once`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        let task = loop.task { loop in
          unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
          for try await _ in try loop.signals(.user1) { calls.mark("signal") }
        }
        try await task.value
        #expect(calls.log.isEmpty)
        await expectEventually { SignalsTests.isDefault(.user1) }
      }
    }
  }

  @Test func `M-11 at shutdown the iteration throws loopClosed, and what was there is restored`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        let task = Task.detached { for try await _ in try loop.signals(.user1) {} }
        await expectEventually { !SignalsTests.isDefault(.user1) }
        await loop.shutdown()
        try await expectCode(.loopClosed) { try await task.value }
        #expect(SignalsTests.isDefault(.user1))
      }
    }
  }

  @Test func `M-11 two iterations of one sequence both see each signal`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        let signals = try loop.signals(.user2)
        var (one, two) = (signals.makeAsyncIterator(), signals.makeAsyncIterator())
        SignalHandleTests.send(.user2)
        #expect(try await one.next(isolation: loop) == .user2)
        #expect(try await two.next(isolation: loop) == .user2)
      }
    }
  }

  @Test func `M-11 of several that wait at copies of one iterator each signal goes to one, in their order`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, calls in
        let came = Event("a signal at a copy")
        let (first, second, third) = try await loop.run { loop in
          let copies = try loop.signals(.user1, .user2).makeAsyncIterator()
          // A task that was given up waits no more: what comes is not for it.
          func wait(_ name: String, _ isolation: isolated EventLoop) -> Task<Void, any Error> {
            let copies = Disconnected(copies)
            return loop.task { loop in
              var copy = copies.take()
              let signal = try await copy.next(isolation: loop)
              calls.mark("\(name) \(signal.map(String.init(describing:)) ?? "none")")
              came.signal()
            }
          }
          let tasks = (wait("first", loop), wait("second", loop), wait("third", loop))
          try await iterate(loop)
          return tasks
        }
        first.cancel()
        try await came.wait()
        SignalHandleTests.send(.user1)
        try await came.wait(times: 2)
        SignalHandleTests.send(.user2)
        try await came.wait(times: 3)
        #expect(calls.log == ["first none", "second SIGUSR1", "third SIGUSR2"])
        for task in [first, second, third] { try await task.value }
      }
    }
  }

  @Test func `M-08 signals without a signal is refused with a sentence`() async throws {
    try await withTestLoop { loop, calls in
      let error = #expect(throws: UVError.self) { try loop.signals() }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains("at least one signal") == true)
    }
  }
}
