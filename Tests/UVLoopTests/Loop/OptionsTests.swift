import Testing

@testable import UVLoop

@Suite(.alone) struct OptionsTests {
  @Test(arguments: [
    ("", "is empty"), (String(repeating: "n", count: 256), "256 bytes"),
    (String(repeating: "é", count: 128), "256 bytes"),
  ])
  func `H-07 a bad name throws invalidArgument and the text names the option and what is wrong`(
    _ name: String, _ reason: String
  ) {
    let error = #expect(throws: UVError.self) { try EventLoop(.init(name: name)) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.call == "EventLoop.init")
    #expect(error?.message.contains("Options.name") == true)
    #expect(error?.message.contains(reason) == true)
  }

  @Test func `H-07 a name with a zero byte throws invalidArgument and the text says so`() {
    let error = #expect(throws: UVError.self) { try EventLoop(.init(name: "uv\0loop")) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("Options.name contains a zero byte") == true)
  }

  @Test func `H-07 withEventLoop refuses the same options and does not run its body`() async {
    let calls = Calls()
    let error = await #expect(throws: UVError.self) {
      try await withEventLoop(.init(name: "")) { _ in calls.mark("body") }
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("Options.name") == true)
    #expect(calls.log == [])
  }

  @Test func `H-07 the longest name is kept whole`() async throws {
    let name = String(repeating: "é", count: 127) + "!"
    try await withTestLoop(name) { loop, _ in
      #expect(loop.name == name)
      #expect(name.utf8.count == 255)
    }
  }

  @Test func `H-07 without a name a loop is called uv-loop`() {
    #expect(EventLoop.Options().name == "uv-loop")
  }

  #if os(Linux)
    @Test func `H-07 a refused option leaves neither a descriptor nor a thread behind`() async {
      await #expect(processExitsWith: .success) {
        // What the first loop of a process opens stays open.
        let first = try EventLoop()
        await first.shutdown()
        await expectThreadGone(first.thread)
        let descriptors = Process.descriptors
        let threads = Process.threads
        for _ in 0..<10 {
          #expect(throws: UVError.self) { try EventLoop(.init(name: "")) }
        }
        #expect(Process.descriptors == descriptors)
        #expect(Process.threads.subtracting(threads) == [])
      }
    }
  #endif
}
