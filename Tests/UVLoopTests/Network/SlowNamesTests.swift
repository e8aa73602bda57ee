import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Look-ups that wait, run, or end too late. The pool and the C library's settings are one per process.
@Suite(.alone) struct SlowNamesTests {
  @Test func `a numeric host needs no thread of the pool`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let held = try await HeldWorkers(4, on: loop)
        #expect(try await loop.resolve("127.0.0.1", port: 80) == [.loopback(port: 80)])
        #expect(try await loop.resolve("::1", service: "80") == [.loopback(port: 80, family: .ipv6)])
        try await held.release()
      }
    }
  }

  @Test func `L-40 a look-up that waits for a full pool and is cancelled ends at once, with CancellationError`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop { loop, _ in
        let held = try await HeldWorkers(4, on: loop)
        for ask in [
          { _ = try await loop.resolve("localhost") }, { _ = try await loop.reverseResolve(.loopback(port: 80)) },
        ] as [@Sendable () async throws -> Void] {
          let task = Task { try await ask() }
          await expectEventually { await loop.lookUps == 1 }
          try await expectCancelledAtOnce(task)
          // libuv has taken it out of the queue though no worker is free.
          await expectEventually { await loop.lookUps == 0 }
        }
        try await held.release()
      }
    }
  }

  @Test func `L-36 answers that come when nobody waits any more are freed`() async {
    await #expect(processExitsWith: .success) {
      // Then look-ups end in the order in which they were begun.
      unsafe setenv("UV_THREADPOOL_SIZE", "1", 1)
      let (loop, other) = (try EventLoop(), try EventLoop())
      for _ in 0..<10 { try await SlowNamesTests.dropAnswers(100, loop, other) }
      var growth: [Int] = []
      for _ in 0..<5 {
        let before = try #require(Process.allocatedBytes)
        for _ in 0..<10 { try await SlowNamesTests.dropAnswers(100, loop, other) }
        growth.append(try #require(Process.allocatedBytes) - before)
      }
      // An `addrinfo` alone has 48 bytes. What leaks grows each time, and what is kept grows in steps.
      let smallest = try #require(growth.min())
      #expect(smallest < 1_000 * 48, "each 1 000 answers left \(growth) bytes")
      await loop.shutdown()
      await other.shutdown()
    }
  }

  /// The worker has found the addresses, and the loop cannot yet have heard of it, when the tasks are cancelled.
  private static func dropAnswers(_ count: Int, _ loop: EventLoop, _ other: EventLoop) async throws {
    let held = try await HeldWorkers(1, on: other)
    let tasks = (0..<count).map { _ in Task { _ = try await loop.resolve("localhost") } }
    await expectEventually { await loop.lookUps == count }
    let areFound = Event("the end of the look-up after them")
    let next = Task {
      _ = try await other.resolve("127.1")
      areFound.signal()
    }
    await expectEventually { await other.lookUps == 1 }
    await loop.run { _ in
      held.open()
      areFound.waitBlocking()
      for task in tasks { task.cancel() }
    }
    for task in tasks { await #expect(throws: CancellationError.self) { try await task.value } }
    try await next.value
    try await held.release()
    await expectEventually { await loop.lookUps == 0 }
  }

  // MARK: While the C library looks up

  #if canImport(Glibc)
    @Test(.enabled(if: SlowName.isPossible))
    func `L-95 a look-up that runs and is cancelled ends its caller at once, and its worker later`() async {
      await #expect(processExitsWith: .success) {
        let name = try SlowName()
        try await withTestLoop { loop, _ in
          let task = Task { _ = try await loop.resolve(name.text) }
          try await name.begun()
          try await expectCancelledAtOnce(task)
          #expect(await loop.lookUps == 1, "libuv still has it")
          name.open()
          await expectEventually { await loop.lookUps == 0 }
        }
      }
    }

    @Test(.enabled(if: SlowName.isPossible))
    func `L-95 a shutdown leaves a look-up that runs behind, and its worker ends later without harm`() async {
      await #expect(processExitsWith: .success) {
        let name = try SlowName()
        let loop = try EventLoop()
        let task = Task { _ = try await loop.resolve(name.text) }
        try await name.begun()
        let report = await loop.shutdown()
        #expect(await codeOfError { try await task.value } == .loopClosed)
        #expect(report.unfinished.isEmpty)
        #expect(Process.threads.contains(loop.thread.kernelID), "it waits for libuv's callback")
        name.open()
        await expectThreadGone(loop.thread)
      }
    }

    @Test(.enabled(if: SlowName.isPossible)) func `look-ups have at most half of the threads`() async {
      await #expect(processExitsWith: .success) {
        let name = try SlowName()
        try await withTestLoop { loop, _ in
          let tasks = (0..<8).map { _ in Task { _ = try await loop.resolve(name.text) } }
          try await name.begun()
          await expectEventually { await loop.lookUps == 8 }
          // Workers are free for these.
          for _ in 0..<10 { try await loop.offload {} }
          #expect(await loop.lookUps == 8)
          name.open()
          for task in tasks { _ = await task.result }
        }
      }
    }
  #endif
}

private func expectCancelledAtOnce(_ task: Task<Void, any Error>) async throws {
  let clock = ContinuousClock()
  let start = clock.now
  task.cancel()
  await #expect(throws: CancellationError.self) { try await task.value }
  #expect(start.duration(to: clock.now) < .milliseconds(500))
}

extension EventLoop {
  /// How many look-ups libuv has, beside the pool tasks of offloaded calls.
  fileprivate var lookUps: Int {
    get async { await run { $0.probe.requests.count { $0 != "work" } } }
  }
}

#if canImport(Glibc)
  /// A name over which the C library ponders until it may go on. For an exit test.
  ///
  /// Glibc reads the file that HOSTALIASES names whenever it asks the DNS for a name without a dot. This one is a pipe,
  /// and its end comes when its writer closes it. The name itself is not known to anybody.
  private final class SlowName: @unchecked Sendable {  // Holds because one test uses it, in order.
    let text = "uvloop-slow-name"
    private let path: String
    private var writer: Int32 = -1

    /// Whether names get as far as the DNS: the system may have something else before it that knows them all.
    static var isPossible: Bool {
      guard let file = unsafe fopen("/etc/nsswitch.conf", "r") else { return false }
      defer { unsafe fclose(file) }
      var line = [CChar](repeating: 0, count: 4_096)
      while unsafe fgets(&line, Int32(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        if text.hasPrefix("hosts:") { return text.contains("dns") && !text.contains("resolve") }
      }
      return false
    }

    init() throws {
      path = "/tmp/uvloop-slow-name-\(getpid())"
      try #require(unsafe mkfifo(path, 0o600) == 0)
      unsafe setenv("HOSTALIASES", path, 1)
      // Where a name server is silent it takes no longer than this to find out.
      unsafe setenv("RES_OPTIONS", "attempts:1 timeout:1", 1)
    }

    /// A pipe without a reader cannot be opened for writing.
    func begun() async throws {
      await expectEventually("the begin of a look-up") {
        writer = unsafe Glibc.open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        return writer >= 0
      }
    }

    /// Lets all look-ups of it end, also those that have not begun.
    func open() {
      unsafe unlink(path)
      close(writer)
    }
  }
#endif
