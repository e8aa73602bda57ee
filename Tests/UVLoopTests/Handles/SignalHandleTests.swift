import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.alone) struct SignalHandleTests {
  /// Sends a signal to this process; the kernel chooses a thread that does not block it.
  static func send(_ signal: Signal) {
    let status = kill(getpid(), signal.rawValue)
    precondition(status == 0, "kill failed with errno \(Posix.errno)")
  }

  /// Whether the signal was sent and has not yet reached a thread.
  static func isPending(_ signal: Signal) -> Bool {
    var (one, before, pending) = (sigset_t(), sigset_t(), sigset_t())
    unsafe sigemptyset(&one)
    unsafe sigaddset(&one, signal.rawValue)
    // The kernel names only those that the calling thread blocks, though any thread may be about to take it.
    unsafe pthread_sigmask(SIG_BLOCK, &one, &before)
    unsafe sigpending(&pending)
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
    return unsafe sigismember(&pending, signal.rawValue) == 1
  }

  /// Counts the calls of a plain signal handler that was installed before any loop.
  enum OldHandler {
    static let calls = Counter()

    static func install(for which: Signal) {
      _ = signal(which.rawValue) { _ in OldHandler.calls.add() }
    }
  }

  @Test func `M-05 a signal sent twice, one after the other was seen, gives two callbacks`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("callback", 2)
        let seen = Event("a signal")
        let handle = try SignalHandle(.user1)
        #expect(handle.signal == .user1)
        try handle.start {
          #expect(loop.isCurrent)
          calls.mark("callback")
          seen.signal()
        }
        for times in 1...2 {
          SignalHandleTests.send(.user1)
          try await seen.wait(times: times)
        }
        handle.close()
      }
    }
  }

  @Test func `M-05 after stop no callback comes, and the old disposition is back`() async {
    await #expect(processExitsWith: .success) {
      SignalHandleTests.OldHandler.install(for: .user1)
      try await onTestLoop { loop, calls in
        calls.expect("callback")
        let seen = Event("a signal")
        let handle = try SignalHandle(.user1)
        try handle.start {
          calls.mark("callback")
          seen.signal()
        }
        SignalHandleTests.send(.user1)
        try await seen.wait()
        #expect(SignalHandleTests.OldHandler.calls.value == 0)
        handle.stop()
        SignalHandleTests.send(.user1)
        await expectEventually { SignalHandleTests.OldHandler.calls.value == 1 }
        try await iterate(loop)
        handle.close()
      }
    }
  }

  @Test func `M-05 after close the old disposition is back, though two handles watched`() async {
    await #expect(processExitsWith: .success) {
      SignalHandleTests.OldHandler.install(for: .user2)
      try await onTestLoop { loop, calls in
        calls.expect("two")
        let seen = Event("a signal")
        let (one, two) = (try SignalHandle(.user2), try SignalHandle(.user2))
        try one.start { calls.mark("one") }
        try two.start {
          calls.mark("two")
          seen.signal()
        }
        one.close()
        SignalHandleTests.send(.user2)
        try await seen.wait()
        #expect(SignalHandleTests.OldHandler.calls.value == 0)
        two.close()
        SignalHandleTests.send(.user2)
        await expectEventually { SignalHandleTests.OldHandler.calls.value == 1 }
      }
    }
  }

  @Test func `M-05 a signal that was ignored before is ignored again after shutdown`() async {
    await #expect(processExitsWith: .success) {
      _ = signal(SIGTERM, SIG_IGN)
      try await onTestLoop { loop, calls in
        calls.expect("callback")
        let seen = Event("a signal")
        try SignalHandle(.terminate).start {
          calls.mark("callback")
          seen.signal()
        }
        SignalHandleTests.send(.terminate)
        try await seen.wait()
      }
      // The default would end the process here.
      SignalHandleTests.send(.terminate)
      var now = sigaction()
      #expect(unsafe sigaction(SIGTERM, nil, &now) == 0)
      #expect(unsafe unsafeBitCast(now.__sigaction_handler.sa_handler, to: Int.self) == 1)
    }
  }

  @Test func `M-14 a signal that the program begins to ignore while a handle watches stays ignored`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        let handle = try SignalHandle(.interrupt)
        try handle.start {}
        _ = signal(SIGINT, SIG_IGN)
        handle.close()
        #expect(SignalClaimTests.disposition(.interrupt) == 1)
      }
      // The default would end the process here.
      SignalHandleTests.send(.interrupt)
    }
  }

  @Test func `M-14 a handler that the program installs while handles watch stays, whatever was there before`() async {
    await #expect(processExitsWith: .success) {
      _ = signal(SIGUSR1, SIG_IGN)
      try await onTestLoop { loop, _ in
        let (one, two) = (try SignalHandle(.user1), try SignalHandle(.user1))
        try one.start {}
        try two.start {}
        SignalHandleTests.OldHandler.install(for: .user1)
        let handler = SignalClaimTests.disposition(.user1)
        one.stop()
        #expect(SignalClaimTests.disposition(.user1) == handler)
        two.stop()
        #expect(SignalClaimTests.disposition(.user1) == handler)
        one.close()
        two.close()
      }
    }
  }

  @Test func `M-14 a default that the program sets while a handle watches stays, though the signal was ignored before`()
    async
  {
    await #expect(processExitsWith: .success) {
      _ = signal(SIGUSR1, SIG_IGN)
      try await onTestLoop { loop, _ in
        let handle = try SignalHandle(.user1)
        try handle.start {}
        _ = signal(SIGUSR1, SIG_DFL)
        handle.close()
        #expect(SignalClaimTests.disposition(.user1) == 0)
      }
    }
  }

  @Test func `M-14 a handle that is started anew watches, and then gives back what the program had set meanwhile`()
    async
  {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("callback")
        let handle = try SignalHandle(.user1)
        try handle.start {}
        SignalHandleTests.OldHandler.install(for: .user1)
        let handler = SignalClaimTests.disposition(.user1)
        handle.stop()
        let seen = Event("a signal")
        try handle.start {
          calls.mark("callback")
          seen.signal()
        }
        SignalHandleTests.send(.user1)
        try await seen.wait()
        handle.close()
        #expect(SignalClaimTests.disposition(.user1) == handler)
        #expect(SignalHandleTests.OldHandler.calls.value == 0)
      }
    }
  }

  @Test func `M-06 startOnce fires once, and the handle is inactive before the callback`() async {
    await #expect(processExitsWith: .success) {
      SignalHandleTests.OldHandler.install(for: .user1)
      try await onTestLoop { loop, calls in
        calls.expect("callback")
        let seen = Event("a signal")
        let handle = try SignalHandle(.user1)
        try handle.startOnce {
          #expect(!handle.isActive)
          calls.mark("callback")
          seen.signal()
        }
        #expect(handle.isActive)
        SignalHandleTests.send(.user1)
        try await seen.wait()
        SignalHandleTests.send(.user1)
        await expectEventually { SignalHandleTests.OldHandler.calls.value == 1 }
        try await iterate(loop)
        #expect(!handle.isActive && !handle.isClosed)
        handle.close()
      }
    }
  }

  @Test func `M-06 a handle that has fired once can be started again in its callback`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("first")
        calls.expect("second")
        let seen = Event("a signal")
        let handle = try SignalHandle(.user1)
        try handle.startOnce {
          calls.mark("first")
          do {
            try handle.startOnce {
              calls.mark("second")
              seen.signal()
            }
          } catch { Issue.record(error) }
          seen.signal()
        }
        for times in 1...2 {
          SignalHandleTests.send(.user1)
          try await seen.wait(times: times)
        }
        handle.close()
      }
    }
  }

  @Test func `M-07 two loops that watch one signal both see it`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop("one") { one, calls in
        try await withTestLoop("two") { two, _ in
          calls.expect("one")
          calls.expect("two")
          let seen = Event("a signal")
          for loop in [one, two] {
            try await loop.run { loop in
              try SignalHandle(.hangup).start {
                calls.mark(loop.name)
                seen.signal()
              }
            }
          }
          SignalHandleTests.send(.hangup)
          try await seen.wait(times: 2)
        }
      }
    }
  }

  @Test(arguments: [Signal.kill, .stop, .child])
  func `M-08 KILL, STOP and CHLD are refused with a sentence`(signal: Signal) async throws {
    try await onTestLoop { loop, calls in
      do throws(UVError) {
        _ = try SignalHandle(signal)
        Issue.record("\(signal) was not refused")
      } catch {
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains("\(signal) cannot be watched: "))
        #expect(error.message.hasSuffix("."))
      }
      #expect(throws: UVError.self) { try loop.signals(.user1, signal) }
      #expect(loop.probe.handles.created == 0)
    }
  }

  @Test(arguments: [SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0, -1, 65, Int32.max, .min])
  func `M-08 faults and numbers that are no signal are refused with a sentence`(number: Int32) async throws {
    try await onTestLoop { loop, calls in
      do throws(UVError) {
        _ = try SignalHandle(Signal(rawValue: number))
        Issue.record("\(number) was not refused")
      } catch {
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains("cannot be watched: "))
      }
    }
  }
}
