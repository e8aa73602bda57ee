import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Which signals a sampler takes, and how it gives them back.
@Suite(.alone) struct SignalClaimTests {
  /// What the process does about a signal: 0 is the default, 1 is to ignore it, the rest are handlers.
  static func disposition(_ signal: Signal) -> Int {
    var now = sigaction()
    let status = unsafe sigaction(signal.rawValue, nil, &now)
    precondition(status == 0, "sigaction failed with errno \(Posix.errno)")
    return unsafe unsafeBitCast(now.__sigaction_handler.sa_handler, to: Int.self)
  }

  @Test(
    arguments: [SIGKILL, SIGSTOP, SIGCHLD, SIGSEGV, SIGBUS, SIGFPE, SIGILL] + [SIGABRT, SIGTRAP, SIGSYS, 0, -1, 32, 65])
  func `a signal that cannot be used is refused with a sentence`(number: Int32) {
    do throws(UVError) {
      _ = try StackSampler(Signal(rawValue: number))
      Issue.record("\(number) was not refused")
    } catch {
      #expect(error.code == .invalidArgument)
      #expect(error.call == "StackSampler.init")
      #expect(error.message.contains("cannot be ") && error.message.hasSuffix("."))
    }
  }

  @Test func `the disposition is back after the last of several samplers, not before`() async {
    await #expect(processExitsWith: .success) {
      let signal = StackSampler.defaultSignal
      #expect(SignalClaimTests.disposition(signal) == 0)
      var samplers = [try StackSampler(), try StackSampler()]
      let handler = SignalClaimTests.disposition(signal)
      #expect(handler > 1)
      samplers.removeLast()
      #expect(SignalClaimTests.disposition(signal) == handler)
      samplers.removeLast()
      #expect(SignalClaimTests.disposition(signal) == 0)
      samplers.append(try StackSampler())
      #expect(SignalClaimTests.disposition(signal) == handler)
    }
  }

  @Test func `a signal that was ignored is ignored again`() async {
    await #expect(processExitsWith: .success) {
      _ = signal(SIGUSR1, SIG_IGN)
      var sampler: StackSampler? = try StackSampler(.user1)
      #expect(SignalClaimTests.disposition(.user1) > 1)
      _ = sampler
      sampler = nil
      #expect(SignalClaimTests.disposition(.user1) == 1)
    }
  }

  @Test func `a signal that the program handles is refused, and stays its own`() async {
    await #expect(processExitsWith: .success) {
      SignalHandleTests.OldHandler.install(for: .user1)
      let before = SignalClaimTests.disposition(.user1)
      try expectCode(.busy) { _ = try StackSampler(.user1) }
      #expect(SignalClaimTests.disposition(.user1) == before)
    }
  }

  @Test func `a signal that a SignalHandle watches is refused until it stops`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        let handle = try SignalHandle(.user2)
        try handle.start {}
        try expectCode(.busy) { _ = try StackSampler(.user2) }
        handle.stop()
        _ = try StackSampler(.user2)
        handle.close()
      }
    }
  }

  @Test func `a handler that the program installs over the sampler's stays, and samples give nothing`() async {
    await #expect(processExitsWith: .success) {
      try await onPlainThread {
        var sampler: StackSampler? = try StackSampler(.user1)
        let own = SampledThread(takes: .user1)
        SignalHandleTests.OldHandler.install(for: .user1)
        let handler = SignalClaimTests.disposition(.user1)
        #expect(sampler?.sample(own, within: .seconds(1_000)) == nil)
        #expect(SignalHandleTests.OldHandler.calls.value == 0)
        sampler = nil
        #expect(SignalClaimTests.disposition(.user1) == handler)
        own.close()
      }
    }
  }

  @Test func `a signal that pends when the last sampler goes is dropped, though its default ends the process`() async {
    await #expect(processExitsWith: .success) {
      try await onPlainThread {
        var sampler: StackSampler? = try StackSampler(.user1)
        let own = SampledThread(takes: .user1)
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGUSR1)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        #expect(sampler?.sample(own, within: .milliseconds(10)) == nil)
        #expect(SignalHandleTests.isPending(.user1))
        sampler = nil
        unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
        #expect(SignalClaimTests.disposition(.user1) == 0)
      }
    }
  }

  @Test func `the signal for the process, sent by anybody, does nothing while it is claimed`() async {
    await #expect(processExitsWith: .success) {
      try await onPlainThread {
        let sampler = try StackSampler(.user1)
        let own = SampledThread(takes: .user1)
        for _ in 0..<100 { SignalHandleTests.send(.user1) }
        #expect(sampler.sample(own, within: .seconds(10)) != nil)
        own.close()
      }
    }
  }

  @Test func `M-14 a sampler that goes before a SignalHandle for its signal leaves no handler behind`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        var sampler: StackSampler? = try StackSampler(.user1)
        let handle = try SignalHandle(.user1)
        try handle.start {}
        _ = sampler
        sampler = nil
        handle.close()
        #expect(SignalClaimTests.disposition(.user1) == 0)
      }
    }
  }

  @Test func `M-14 a sampler that goes before a SignalHandle leaves what was there before both`() async {
    await #expect(processExitsWith: .success) {
      _ = signal(SIGUSR1, SIG_IGN)
      try await onTestLoop { loop, _ in
        var sampler: StackSampler? = try StackSampler(.user1)
        let handle = try SignalHandle(.user1)
        try handle.start {}
        _ = sampler
        sampler = nil
        handle.close()
        #expect(SignalClaimTests.disposition(.user1) == 1)
      }
    }
  }

  @Test func `M-14 a SignalHandle that goes first gives the signal back to the sampler`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, _ in
        var sampler: StackSampler? = try StackSampler(.user1)
        let handler = SignalClaimTests.disposition(.user1)
        let handle = try SignalHandle(.user1)
        try handle.start {}
        handle.close()
        #expect(SignalClaimTests.disposition(.user1) == handler)
        _ = sampler
        sampler = nil
        #expect(SignalClaimTests.disposition(.user1) == 0)
      }
    }
  }

  @Test func `in the child of a fork a sampler works, though the parent was asking`() async {
    await #expect(processExitsWith: .success) {
      let sampler = try StackSampler()
      @Sendable func sampleOwn() -> Int32 {
        let own = SampledThread(takes: sampler.signal)
        defer { own.close() }
        return sampler.sample(own, within: .seconds(10)) == nil ? 1 : 0
      }
      // All that the child does its parent has done; see `ForkTests`.
      let (isBlocked, opened, isOver) = (Event("blocked"), Shared<SampledThread?>(nil), Event("the end"))
      let mute = PlainThread {
        let own = SampledThread(takes: sampler.signal)
        own.close()
        opened.value = SampledThread(takes: sampler.signal)
        var set = sigset_t()
        unsafe sigfillset(&set)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        isBlocked.signal()
        isOver.waitBlocking()
      }
      try await isBlocked.wait()
      let silent = try #require(opened.value)
      let first = try await onPlainThread { sampleOwn() }
      #expect(first == 0)
      let reader = PlainThread { _ = sampler.sample(silent, within: .seconds(2)) }
      // It asks, and the thread does not hear.
      await expectEventually { Process.isPending(sampler.signal.rawValue, on: silent.identity.kernelID) }
      let ending = try await onPlainThread {
        try #require(Fork.child(amidstOthers: true) { sampleOwn() }).wait()
      }
      #expect(ending == .exited(0))
      isOver.signal()
      try await reader.join()
      try await mute.join()
    }
  }
}
