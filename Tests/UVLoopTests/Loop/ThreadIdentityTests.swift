import Testing

@testable import UVLoop

@Suite(.sideBySide) struct ThreadIdentityTests {
  @Test func `A-04 inside a callback the loop's thread is the current one and not its creator's`() async throws {
    let creator = ThreadIdentity.current
    try await onTestLoop { loop, calls in
      calls.expect("callback")
      #expect(loop.thread != creator)
      try loop.post { if loop.thread == .current { calls.mark("callback") } }
    }
  }

  #if os(Linux)
    @Test func `A-04 the kernel id of a loop's thread is the one that the kernel gives it`() async throws {
      try await onTestLoop { loop, _ in
        // Ends in /task/ and the id.
        let link = Files.target(of: "/proc/thread-self")
        #expect(link.hasSuffix("/task/\(loop.thread.kernelID)"))
        #expect(ThreadIdentity.current.kernelID == loop.thread.kernelID)
      }
    }
  #endif

  @Test func `A-05 each of 1 000 loops runs on a recorded thread when its init returns`() async throws {
    for round in 1...1_000 {
      let loop = try EventLoop(.init(name: "round \(round)"))
      let isReady = loop.state == .running && loop.thread.kernelID > 0 && loop.thread != .current
      let seen = await loop.run { _ in ThreadIdentity.current }
      await loop.shutdown()
      try #require(isReady && loop.thread == seen, "loop \(round) on \(loop.thread), seen on \(seen)")
    }
  }

  @Test func `A-06 no dead loop calls itself current on a thread that got its old id`() async throws {
    var dead: [EventLoop] = []
    var reused = 0
    for _ in 1...100 {
      let round = try (0..<4).map { try EventLoop(.init(name: "loop \($0)")) }
      for loop in round {
        reused += dead.contains { $0.thread.id == loop.thread.id } ? 1 : 0
        let former = dead
        let impostors = await loop.run { loop in
          former.filter { $0.isCurrent || $0.thread == .current || $0.thread == loop.thread }.map(\.name)
        }
        #expect(impostors.isEmpty)
      }
      for loop in round { await loop.shutdown() }
      // Each keeps a descriptor for as long as somebody holds it.
      dead = dead.suffix(36) + round
    }
    #expect(reused > 0, "the system has reused no id: this run has shown nothing")
  }

  #if os(Linux)
    @Test(arguments: [
      ("short", "short"), ("exactly fifteen", "exactly fifteen"), ("sixteen letters!", "sixteen letters"),
      ("fourteen bytesé", "fourteen bytes"), ("Größenänderungsmelder", "Größenänderu"), ("👩‍👩‍👧‍👦", ""),
    ])
    func `A-10 the kernel's name of the thread is cut to 15 bytes, and the loop's name is whole`(
      _ name: String, _ short: String
    ) async throws {
      try await withTestLoop(name) { loop, _ in
        #expect(loop.name == name)
        let path = "/proc/self/task/\(loop.thread.kernelID)/comm"
        #expect(Process.contents(of: path) == "\(short)\n")
        #expect(loop.thread.name == short)
      }
    }
  #endif
}
