import Testing

@testable import UVLoop

/// Handles that stop, start and close each other within an iteration, and many of them.
@Suite(.alone) struct HandleIterationTests {
  @Test func `K-10 after a test with handles of all kinds as many were freed as were made, and the thread is gone`()
    async throws
  {
    let loop = try EventLoop(.init(name: "named"))
    let handles = await loop.run { $0.probe.handles }
    try await loop.run { loop in
      for kind in HandleKind.allCases {
        let handle = try AnyHandle(kind) {}
        try handle.start()
        if kind == .poll { handle.close() }
      }
      _ = try TimerHandle()
    }
    let made = HandleKind.allCases.count + 1
    #expect(handles.created == made)
    let report = await loop.shutdown()
    #expect(report.unfinished.isEmpty && report.foreignHandles.isEmpty)
    #expect(handles.closed == made)
    #expect(handles.freed == made)
    await expectThreadGone(loop.thread)
  }

  @Test func `K-12 stop in the timer's own callback holds`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("fired")
      let timer = try TimerHandle()
      try timer.start(after: .milliseconds(1), repeating: .milliseconds(1)) {
        calls.mark("fired")
        timer.stop()
      }
      while timer.isActive { try await loop.sleep(for: .milliseconds(1)) }
      try await loop.sleep(for: .milliseconds(10))
      timer.close()
    }
  }

  @Test func `K-12 start with another delay in the timer's own callback holds`() async throws {
    try await onTestLoop { loop, calls in
      calls.expect("first")
      calls.expect("second")
      let timer = try TimerHandle()
      let second = try Promise<Duration>()
      try timer.start(after: .milliseconds(1), repeating: .milliseconds(1)) {
        calls.mark("first")
        let start = loop.clock.now
        do {
          try timer.start(after: .milliseconds(40)) {
            calls.mark("second")
            second.resume(returning: start.duration(to: loop.clock.now))
          }
        } catch { second.resume(throwing: error) }
      }
      #expect(try await second.value() >= .milliseconds(40))
      #expect(timer.repeatInterval == .zero)
      try await loop.sleep(for: .milliseconds(10))
      timer.close()
    }
  }

  @Test func `K-13 a callback that stops another timer due in the same iteration keeps that one from firing`()
    async throws
  {
    try await onTestLoop { loop, calls in
      calls.expect("first")
      let (first, second) = (try TimerHandle(), try TimerHandle())
      try first.start(after: .milliseconds(1)) {
        calls.mark("first")
        second.stop()
      }
      try second.start(after: .milliseconds(2)) { calls.mark("second") }
      spin(for: .milliseconds(5))
      try await iterate(loop, times: 10)
      #expect(calls.log == ["first"])
      first.close()
      second.close()
    }
  }

  @Test func `K-13 a callback that starts another timer due in the same iteration anew puts that one off`() async throws
  {
    try await onTestLoop { loop, calls in
      calls.expect("first")
      calls.expect("anew")
      let (first, second) = (try TimerHandle(), try TimerHandle())
      let done = try Promise<Duration>()
      try first.start(after: .milliseconds(1)) {
        calls.mark("first")
        let start = loop.clock.now
        do {
          try second.start(after: .milliseconds(20)) {
            calls.mark("anew")
            done.resume(returning: start.duration(to: loop.clock.now))
          }
        } catch { done.resume(throwing: error) }
      }
      try second.start(after: .milliseconds(2)) { calls.mark("second") }
      spin(for: .milliseconds(5))
      #expect(try await done.value() >= .milliseconds(20))
      #expect(calls.log == ["first", "anew"])
      first.close()
      second.close()
    }
  }

  @Test(arguments: HandleKind.startable)
  func `K-13 of many handles due in one iteration those that the first one stops do not call`(kind: HandleKind)
    async throws
  {
    try await onTestLoop { loop, calls in
      let handles = Cell<[AnyHandle]>([])
      for index in 0..<4 {
        handles.value?.append(
          try AnyHandle(kind) {
            calls.mark("callback")
            for (other, handle) in (handles.value ?? []).enumerated() where other != index { handle.stop() }
          })
      }
      for handle in handles.value ?? [] {
        try handle.start()
        try handle.provoke()
      }
      try await iterate(loop, times: 10)
      #expect(calls.count("callback") == 1)
      for handle in handles.value ?? [] { handle.close() }
      handles.value = nil
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `K-15 10 000 handles are made, started and closed in random order`(seed: UInt64) async throws {
    try await onTestLoop { loop, calls in
      var random = Random(state: seed)
      let pairs = (0..<16).map { _ in SocketPair() }
      var open: [(handle: AnyHandle, pair: Int?)] = []
      var free = Array(pairs.indices)
      var isStarted: Set<ObjectIdentifier> = []
      var made = 0
      while made < 10_000 || !open.isEmpty {
        let choice = Int.random(in: 0..<8, using: &random)
        if made < 10_000 && (choice < 4 || open.isEmpty) {
          var kind = HandleKind.allCases[Int.random(in: 0..<HandleKind.allCases.count, using: &random)]
          if kind == .poll && free.isEmpty { kind = .timer }
          let pair = kind == .poll ? free.removeLast() : nil
          open.append((try AnyHandle(kind, on: pair.map { pairs[$0] }, signal: .windowChange) {}, pair))
          made += 1
        } else if let index = open.indices.randomElement(using: &random) {
          let (handle, pair) = open[index]
          let id = ObjectIdentifier(handle)
          switch choice {
          case 4 where !isStarted.contains(id):
            try handle.start()
            isStarted.insert(id)
          case 5: handle.stop()
          default:
            open.swapAt(index, open.count - 1)
            open.removeLast()
            isStarted.remove(id)
            // An inactive one is closed by being dropped; so that a pair can be used again a poll is closed here.
            if handle.isActive || pair != nil { handle.close() }
            if let pair { free.append(pair) }
          }
        }
        if choice == 7 && made % 16 == 0 { try await loop.sleep(for: .zero) }
      }
      try await iterate(loop)
      #expect(loop.probe.handles.created == 10_000)
      #expect(loop.probe.handles.freed == 10_000)
      #expect(loop.probe.handles.open == 0)
    }
  }

  /// The same numbers for the same seed: SplitMix64.
  private struct Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return mixed ^ (mixed >> 31)
    }
  }
}
