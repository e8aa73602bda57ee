import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Signals that come faster than the loop goes round, and while handles close.
@Suite(.alone) struct SignalStormTests {
  @Test func `M-09 a signal that comes while its handle closes is not lost for another handle, 1 000 times`() async {
    await #expect(processExitsWith: .success) {
      try await onTestLoop { loop, calls in
        let seen = Event("a signal")
        let keeper = try SignalHandle(.user1)
        try keeper.start { seen.signal() }
        for round in 1...1_000 {
          let closing = try SignalHandle(.user1)
          try closing.start { calls.mark("closing") }
          if round % 2 == 0 {
            SignalHandleTests.send(.user1)
            closing.close()
          } else {
            pthread_kill(pthread_self(), SIGUSR1)
            closing.close()
          }
          try await seen.wait(times: round)
        }
        #expect(calls.count("closing") == 0)
        keeper.close()
        while loop.probe.handles.freed < 1_001 { try await loop.sleep(for: .zero) }
      }
    }
  }

  @Test func `M-09 a loop that shuts down while signals come neither loses its end nor frees twice`() async {
    await #expect(processExitsWith: .success) {
      SignalHandleTests.OldHandler.install(for: .user1)
      // Somebody watches all the time: libuv sets the default for an instant when the last watcher stops.
      try await onTestLoop("keeper") { keeper, _ in
        let (kept, isOver) = (Counter(), Shared(false))
        let handle = try SignalHandle(.user1)
        try handle.start { kept.add() }
        let flood = PlainThread { while !isOver.value { SignalHandleTests.send(.user1) } }
        // Each signal costs the thread sanitizer so much that a round takes it a second or two.
        for _ in 0..<(Sanitizer.isThread ? 10 : 50) {
          try await onTestLoop { loop, calls in
            let seen = Event("a signal")
            for _ in 0..<3 { try SignalHandle(.user1).start { seen.signal() } }
            try await seen.wait(times: 3)
          }
        }
        isOver.value = true
        try await flood.join()
        await expectEventually { !SignalHandleTests.isPending(.user1) }
        #expect(kept.value > 0)
        handle.close()
      }
    }
  }

  @Test func `M-10 a flood of signals does not starve a 10 ms tick`() async {
    await #expect(processExitsWith: .success) {
      // The last one sent may be under way when the handle closes.
      SignalHandleTests.OldHandler.install(for: .user1)
      try await onTestLoop { loop, calls in
        let (seen, isOver) = (Counter(), Shared(false))
        let lateness = OwnLateness(loop.clock, period: .milliseconds(10))
        let handle = try SignalHandle(.user1)
        try handle.start {
          seen.add()
          lateness.look()
        }
        let flood = PlainThread { while !isOver.value { SignalHandleTests.send(.user1) } }
        var latest = Duration.zero
        var ticks = try loop.ticks(every: .milliseconds(10), missed: .burst).makeAsyncIterator()
        for _ in 0..<50 {
          let tick = try #require(try await ticks.next(isolation: loop))
          latest = max(latest, lateness.arrived(tick))
        }
        isOver.value = true
        try await flood.join()
        await expectEventually { !SignalHandleTests.isPending(.user1) }
        #expect(latest < .milliseconds(200))
        #expect(seen.value > 10)
        handle.close()
      }
    }
  }
}
