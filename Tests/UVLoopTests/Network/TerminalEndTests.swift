import CLibUV
import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What becomes of a terminal's mode when the process ends. The terminal is this process's, which looks at it
/// afterwards.
@Suite(.alone) struct TerminalEndTests {
  /// Sets the mode of the terminal, in a loop that goes on as long as what is returned is kept.
  private static func makeRaw(_ path: String) async throws -> (EventLoop, TTYStream) {
    let loop = try EventLoop()
    let stream = try await loop.run { loop in
      let stream = try await loop.openTerminal(OwnedDescriptor(owning: try PseudoTerminal.open(path)))
      try stream.setMode(.raw)
      return stream
    }
    return (loop, stream)
  }

  @Test func `L-98 exit puts the mode back, also when two streams had changed it`() async throws {
    let terminal = try PseudoTerminal()
    let path = terminal.path
    await #expect(processExitsWith: .exitCode(7)) { [path = path as String] in
      let streams = [try await Self.makeRaw(path), try await Self.makeRaw(path)]
      let look = try PseudoTerminal.open(path)
      #expect(PseudoTerminal.Mode(of: look) == .raw)
      withExtendedLifetime(streams) { exit(7) }
    }
    #expect(terminal.mode == .normal)
  }

  private static let faults = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT]

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT] + faults)
  func `L-98 a signal that ends the process puts the mode back, and still ends it`(_ number: Int32) async throws {
    let terminal = try PseudoTerminal()
    let path = terminal.path
    await #expect(processExitsWith: .signal(number)) { [path = path as String, number] in
      // Swift's backtracer, where it is on, lets a process live that was sent a signal.
      _ = signal(number, SIG_DFL)
      let stream = try await Self.makeRaw(path)
      let look = try PseudoTerminal.open(path)
      #expect(PseudoTerminal.Mode(of: look) == .raw)
      await onThreadThatTakes(number) {
        // The process's, as from a terminal or another process. The thread sanitizer takes each of these for the fault
        // of the thread that gets it, and ends the process if that sleeps in the kernel ("thr->slot").
        if Sanitizer.isThread && Self.faults.contains(number) { raise(number) } else { kill(getpid(), number) }
      }
      withExtendedLifetime(stream) {}
    }
    #expect(terminal.mode == .normal)
  }

  @Test func `L-98 a crash puts the mode back`() async throws {
    let terminal = try PseudoTerminal()
    let path = terminal.path
    await #expect(processExitsWith: .failure) { [path = path as String] in
      let stream = try await Self.makeRaw(path)
      let look = try PseudoTerminal.open(path)
      #expect(PseudoTerminal.Mode(of: look) == .raw)
      withExtendedLifetime(stream) { fatalError("a crash") }
    }
    #expect(terminal.mode == .normal)
  }

  @Test func `L-98 a bad access puts the mode back`() async throws {
    let terminal = try PseudoTerminal()
    let path = terminal.path
    await #expect(processExitsWith: .signal(SIGSEGV)) { [path = path as String] in
      // The sanitizers have a handler of their own for it, which would be left alone, as any program's is.
      if Sanitizer.isAddress || Sanitizer.isThread { _ = signal(SIGSEGV, SIG_DFL) }
      let stream = try await Self.makeRaw(path)
      let nowhere = unsafe mmap(nil, 4_096, PROT_NONE, MAP_PRIVATE | Int32(MAP_ANONYMOUS), -1, 0)
      unsafe nowhere?.storeBytes(of: 1, as: Int.self)
      withExtendedLifetime(stream) {}
    }
    #expect(terminal.mode == .normal)
  }

  @Test func `L-98 handlers are there while a mode is set, and leave what the program does with a signal alone`() async
  {
    await #expect(processExitsWith: .success) {
      let terminal = try PseudoTerminal()
      _ = signal(SIGHUP, SIG_IGN)
      _ = signal(SIGQUIT) { _ in }
      let before = (handler(of: SIGHUP), handler(of: SIGQUIT), handler(of: SIGTERM))
      try await onTestLoop { loop, _ in
        let stream = try await loop.openTerminal(try terminal.opened())
        try stream.setMode(.raw)
        #expect(handler(of: SIGHUP) == before.0 && handler(of: SIGQUIT) == before.1)
        #expect(handler(of: SIGTERM) != before.2)
        try stream.setMode(.io)
        try stream.setMode(.normal)
        #expect((handler(of: SIGHUP), handler(of: SIGQUIT), handler(of: SIGTERM)) == before)
      }
    }
  }

  @Test func `L-98 a signal that a loop watches comes to it, and is guarded when it watches no more`() async throws {
    let terminal = try PseudoTerminal()
    let path = terminal.path
    await #expect(processExitsWith: .signal(SIGTERM)) { [path = path as String] in
      try await onTestLoop { loop, _ in
        let terminal = try await loop.openTerminal(OwnedDescriptor(owning: try PseudoTerminal.open(path)))
        // One watcher before the mode is set, and one after.
        let came = Event("a signal")
        let early = try SignalHandle(.terminate)
        try early.start { came.signal() }
        try terminal.setMode(.raw)
        let late = try SignalHandle(.interrupt)
        try late.start { came.signal() }
        kill(getpid(), SIGTERM)
        kill(getpid(), SIGINT)
        try await came.wait(times: 2)
        late.close()
        early.close()
        try terminal.setMode(.normal)
        #expect(handler(of: SIGTERM) == 0 && handler(of: SIGINT) == 0)
        try terminal.setMode(.raw)
        await onThreadThatTakes(SIGTERM) { kill(getpid(), SIGTERM) }
      }
    }
    #expect(terminal.mode == .normal)
  }

  @Test func `L-33 the window's size changes with a signal`() async {
    await #expect(processExitsWith: .success) {
      let terminal = try PseudoTerminal()
      // The terminal becomes this process's own, for which it needs a session. It hangs up before the process ends.
      _ = signal(SIGHUP, SIG_IGN)
      #expect(setsid() > 0)
      #expect(ioctl(terminal.descriptor, UInt(TIOCSCTTY), 0) == 0)
      try await onTestLoop { loop, _ in
        let stream = try await loop.openTerminal(try OwnedDescriptor(duplicating: terminal.descriptor))
        var changes = try loop.signals(.windowChange).makeAsyncIterator()
        for columns in 100..<103 {
          terminal.resize(columns: UInt16(columns), rows: 30)
          _ = try await changes.next(isolation: loop)
          #expect(stream.size == TerminalSize(columns: columns, rows: 30))
        }
      }
    }
  }
}

/// The address of what handles the signal; 0 is the default.
private func handler(of signal: Int32) -> Int {
  var action = sigaction()
  _ = unsafe sigaction(signal, nil, &action)
  return unsafe withUnsafeBytes(of: action) { unsafe $0.load(as: Int.self) }
}

/// Runs `body` on a thread that blocks no signal, so that the process can take what `body` sends it, and waits.
private func onThreadThatTakes(_ signal: Int32, _ body: @escaping @Sendable () -> Void) async {
  try? await onPlainThread {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, signal)
    unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    body()
    // It ends the process, which may take a moment.
    pause()
  }
}
