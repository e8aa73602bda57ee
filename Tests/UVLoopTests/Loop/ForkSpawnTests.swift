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

/// Other threads start processes while a loop runs.
@Suite(.alone) struct ForkSpawnTests {
  @Test func `G-20 while other threads start 100 processes the loop's ticks never freeze`() async throws {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        calls.expect("spawned", 100)
        let threads = (0..<4).map { _ in
          PlainThread { for _ in 0..<25 where ForkSpawnTests.runTrue() { calls.mark("spawned") } }
        }
        let clock = loop.clock
        var latest = Duration.zero
        var count = 0
        for try await tick in try loop.ticks(every: .milliseconds(5)) {
          latest = max(latest, tick.duration(to: clock.now))
          count += 1
          if count >= 20 && calls.count("spawned") == 100 { break }
        }
        #expect(latest < .seconds(10), "a tick was \(latest) late")
        for thread in threads { try await thread.join() }
      }
    }
  }

  /// Starts `/bin/true` and waits for its end.
  private static func runTrue() -> Bool {
    var child = pid_t()
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe [strdup("true"), nil]
    defer { unsafe free(arguments[0]) }
    guard unsafe posix_spawn(&child, "/bin/true", nil, nil, &arguments, nil) == 0 else { return false }
    var status: Int32 = -1
    while unsafe waitpid(child, &status, 0) < 0 {
      if Posix.errno != EINTR { return false }
    }
    return status == 0
  }
}
