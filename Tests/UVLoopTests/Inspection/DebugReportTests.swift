import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How what debug mode tells gets to standard error: by a thread of its own, and nothing is lost.
@Suite(.alone) struct DebugReportTests {
  private static let what = "was dropped open"

  /// Makes handles and drops them.
  private static func dropHandles(_ count: Int, on loop: isolated EventLoop) throws {
    for number in 1...count {
      if number.isMultiple(of: 2) { _ = try AsyncHandle {} } else { _ = try DebugModeTests.makesATimer(on: loop) }
    }
  }

  /// Makes a file standard error, runs `body`, and gives what the file holds then. For exit tests only.
  private static func standardError(_ body: (_ soFar: () -> String) async throws -> Void) async throws -> String {
    try await withScratchFolder { folder in
      let path = "\(folder)/errors"
      let file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      try #require(file >= 0 && dup2(file, STDERR_FILENO) == STDERR_FILENO)
      try await body { Files.text(of: path) }
      return Files.text(of: path)
    }
  }

  @Test func `J-13 a loop goes on while nobody reads what debug mode tells`() async {
    await #expect(processExitsWith: .success) {
      let before = dup(STDERR_FILENO)
      var ends: [Int32] = [-1, -1]
      unsafe try #require(pipe(&ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
      let zeros = [UInt8](repeating: 0, count: 4_096)
      while unsafe write(ends[1], zeros, zeros.count) > 0 {}
      try #require(fcntl(ends[1], F_SETFL, 0) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO)
      let loop = try DebugModeTests.makesALoop()
      let goesOn = Event("a call behind the dropped handle")
      try loop.post { loop.assumeIsolated { loop in _ = try? DebugModeTests.makesATimer(on: loop) } }
      try loop.post { goesOn.signal() }
      let isFree = (try? await goesOn.wait(within: .seconds(10))) != nil

      let bytes = Shared<[UInt8]>([])
      let end = ends[0]
      let reader = PlainThread {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
          let count = unsafe read(end, &chunk, chunk.count)
          if count <= 0 { return }
          bytes.update { $0 += chunk[..<count].filter { $0 != 0 } }
        }
      }
      await loop.shutdown()
      Posix.close(ends[1])
      _ = dup2(before, STDERR_FILENO)
      try await reader.join()
      #expect(isFree)
      let text = String(decoding: bytes.value, as: UTF8.self)
      #expect(text.contains("UVLoop: a TimerHandle of loop \"open\" \(DebugReportTests.what)"), "\(text)")
    }
  }

  @Test func `J-13 a hundred handles that are dropped open keep their loop for less than a second`() async {
    await #expect(processExitsWith: .success) {
      let text = try await DebugReportTests.standardError { _ in
        let loop = try DebugModeTests.makesALoop()
        let took = try await loop.run { loop in
          let before = MonotonicClock.now()
          try DebugReportTests.dropHandles(100, on: loop)
          return MonotonicClock.now() - before
        }
        #expect(took < 1_000_000_000)
        await loop.shutdown()
      }
      #expect(text.split(separator: DebugReportTests.what).count == 101, "\(text)")
    }
  }

  @Test func `J-13 what debug mode told before a shutdown returned is written by then, in order`() async {
    await #expect(processExitsWith: .success) {
      _ = try await DebugReportTests.standardError { soFar in
        let loop = try DebugModeTests.makesALoop()
        try await loop.run { loop in try DebugReportTests.dropHandles(50, on: loop) }
        await loop.shutdown()
        let kinds = soFar().split(separator: "\n").filter { $0.contains(DebugReportTests.what) }
          .map { $0.hasPrefix("UVLoop: a TimerHandle") }
        #expect(kinds == (1...50).map { !$0.isMultiple(of: 2) })
      }
    }
  }

  @Test func `J-13 it is written as well where a shutdown returns because its time is over`() async {
    await #expect(processExitsWith: .success) {
      _ = try await DebugReportTests.standardError { soFar in
        let loop = try DebugModeTests.makesALoop()
        let (began, mayEnd) = (Event("an offloaded call"), Event("its end"))
        loop.task { loop in
          _ = try await loop.offload {
            began.signal()
            mayEnd.waitBlocking()
          }
        }
        try await began.wait()
        try await loop.run { loop in
          try DebugReportTests.dropHandles(50, on: loop)
        }
        let report = await loop.shutdown(within: .zero)
        #expect(soFar().split(separator: DebugReportTests.what).count == 51)
        #expect(!report.unfinished.isEmpty)
        mayEnd.signal()
        await expectThreadGone(loop.thread)
      }
    }
  }

  @Test func `J-13 what debug mode told before the process exits is written`() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let loop = try DebugModeTests.makesALoop()
      try await loop.run { loop in try DebugReportTests.dropHandles(10, on: loop) }
      exit(EXIT_SUCCESS)
    }
    #expect(result?.standardErrorText.split(separator: DebugReportTests.what).count == 11)
  }

  @Test func `the thread that writes ends with the last loop in debug mode, and comes again with the next`() async {
    await #expect(processExitsWith: .success) {
      func writers() -> Int {
        Process.threads.count { Process.contents(of: "/proc/self/task/\($0)/comm").hasPrefix("uv-debug-log") }
      }
      for _ in 0..<2 {
        let loops = [try DebugModeTests.makesALoop(), try DebugModeTests.makesALoop()]
        await expectEventually { writers() == 1 }
        await loops[0].shutdown()
        #expect(writers() == 1)
        await loops[1].shutdown()
        await expectEventually { writers() == 0 }
      }
    }
  }

  @Test func `in the child of a fork debug mode writes too, and nothing of the parent's`() async {
    await #expect(processExitsWith: .success) {
      let loop = try DebugModeTests.makesALoop()
      try await loop.run { loop in try DebugReportTests.dropHandles(1, on: loop) }
      let child = try #require(
        Fork.child {
          guard let own = try? DebugModeTests.makesALoop() else { return 1 }
          let done = Event("a dropped handle")
          try? own.post {
            own.assumeIsolated { own in try? DebugReportTests.dropHandles(1, on: own) }
            done.signal()
          }
          done.waitBlocking()
          _ = try? own.shutdownBlocking()
          return 0
        })
      let (ending, text) = child.end()
      #expect(ending == .exited(0))
      #expect(text.split(separator: DebugReportTests.what).count == 2, "\(text)")
      await loop.shutdown()
    }
  }
}
