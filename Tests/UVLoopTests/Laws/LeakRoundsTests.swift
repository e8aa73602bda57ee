import Testing

@testable import UVLoop

/// Loops come and go, and nothing of them stays. Counted in a process of its own.
@Suite(.alone) struct LeakRoundsTests {
  /// One life with a bit of everything.
  private static func round() async throws {
    let loop = try EventLoop()
    let core = WeakCore(of: loop)
    try await loop.run { loop in
      let timer = try TimerHandle()
      try timer.start(after: .seconds(3_600)) {}
      _ = try AsyncHandle {}
      try loop.schedule(after: .seconds(3_600)) {}
      try await loop.sleep(for: .zero)
      try await loop.offload {}
    }
    try loop.post {}
    await loop.shutdown()
    await expectThreadGone(loop.thread)
    _ = consume loop
    let isFreed = await eventually { core.isFreed }
    #expect(isFreed)
  }

  @Test func `G-16 over 1 000 rounds of create, use and shutdown descriptors, threads and memory stay flat`()
    async throws
  {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      let descriptors = Process.loopDescriptors
      // Swift's pool makes its threads as it needs them, and `malloc` keeps something for each thread that it sees.
      for _ in 0..<100 { try await LeakRoundsTests.round() }
      let threads = Process.threads.count
      var growth: [Int] = []
      for _ in 0..<4 {
        let before = try #require(Process.allocatedBytes)
        for _ in 0..<250 { try await LeakRoundsTests.round() }
        let after = try #require(Process.allocatedBytes)
        growth.append(after - before)
      }
      let isClosed = await eventually(within: .seconds(5)) { Process.loopDescriptors.isSubset(of: descriptors) }
      #expect(isClosed, "\(descriptors) before, \(Process.loopDescriptors) after")
      let isEnded = await eventually { Process.threads.count <= threads }
      #expect(isEnded, "\(threads) threads before, \(Process.threads.count) after")
      // What leaks grows in every batch, by the size of a `uv_loop_t` at least; what is kept grows in steps.
      let smallest = try #require(growth.min())
      #expect(smallest < 250 * 256, "each 250 rounds left \(growth) bytes")
    }
  }

  @Test func `G-16 after 1 000 rounds of making handles on one loop nothing of them is left`() async throws {
    try await onTestLoop { loop, _ in
      for _ in 0..<1_000 {
        let timer = try TimerHandle()
        try timer.start(after: .zero, repeating: .seconds(1)) {}
        let wake = try AsyncHandle {}
        wake.sender.send()
        timer.close()
        wake.close()
        _ = try TimerHandle()
        await loop.run { _ in }
      }
      let handles = loop.probe.handles
      #expect(handles.created == 3_000)
      let isEmpty = await eventually { handles.freed == 3_000 && handles.open == 0 }
      #expect(isEmpty)
    }
  }
}
