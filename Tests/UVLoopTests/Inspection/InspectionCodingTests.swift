import Foundation
import Testing

@testable import UVLoop

/// What is told about a loop goes to JSON and comes back.
@Suite(.alone) struct InspectionCodingTests {
  /// What comes back, and that it is written as it was before.
  private func roundTrip<Value: Codable>(_ value: Value) throws -> Value {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let data = try encoder.encode(value)
    let back = try JSONDecoder().decode(Value.self, from: data)
    #expect(try encoder.encode(back) == data)
    return back
  }

  @Test func `a snapshot comes back, with the names of where things come from`() async throws {
    try await onTestLoop("coded", debug: true) { loop, _ in
      let timer = try DebugModeTests.makesATimer(on: loop)
      try timer.start(after: .seconds(60)) {}
      let call = try DebugModeTests.schedulesACall(on: loop, after: .seconds(60))
      let neighbour = NeighbourTests.Neighbour()
      #expect(unsafe loop.withUnsafeLoop { unsafe neighbour.attach(to: $0) } == 0)
      let found = try await loop.task(name: "asking") { loop in
        try await loop.sleep(for: .zero)
        return loop.snapshot()
      }.value
      let back = try roundTrip(found)
      #expect(back.description == found.description)
      #expect(back.loop == "coded" && back.running?.label == "asking" && back.handles.count == 1)
      #expect(back.foreignHandles?.count == 1)
      #expect(back.handles.first?.site?.frames == found.handles.first?.site?.frames)
      #expect(back.handles.first?.site?.description.contains("makesATimer") == true)
      timer.close()
      call.cancel()
      neighbour.close()
    }
  }

  @Test func `metrics come back`() async throws {
    for metrics in [false, true] {
      try await onTestLoop(metrics: metrics) { loop, _ in
        try await loop.offload {}
        try await iterate(loop)
        let found = loop.metrics
        let back = try roundTrip(found)
        #expect(back.iterations == found.iterations && back.elapsed == found.elapsed && back.idle == found.idle)
        #expect(back.lag == found.lag && back.offloadRun == found.offloadRun)
        #expect(back.utilisation() == found.utilisation())
      }
    }
  }

  @Test func `a report of a slow call comes back, with its site`() async throws {
    let reported = Shared<SlowCall?>(nil)
    let came = Event("a report")
    try await withTestLoop(debug: true) { loop, _ in
      try loop.reportSlowCalls(over: .milliseconds(20)) { call in
        if call.kind != .post { return }
        reported.value = call
        came.signal()
      }
      try DebugModeTests.postsAClosure(to: loop) { spin(for: .milliseconds(30)) }
      try await came.wait()
    }
    let call = try #require(reported.value)
    let back = try roundTrip(call)
    #expect(back.description == call.description && back.description.contains("postsAClosure"))
    #expect(back.kind == .post && back.ran == call.ran && back.waited == call.waited)
  }

  @Test func `a report of a stall comes back, with its stack`() async throws {
    let (log, functions) = (WatchdogTests.Log(), BlockingFunctions())
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.startWatchdog(over: .milliseconds(50)) { log.add($0) }
      await loop.run { _ in }
      try loop.post { functions.waitsForACondition() }
      let stall = try await WatchdogTests.stackedReport(log)
      let back = try roundTrip(stall)
      #expect(back.description == stall.description && back.description.contains("waitsForACondition"))
      #expect(back.thread == stall.thread && back.lasted == stall.lasted)
    }
  }

  @Test func `a stall whose stack is not known says so`() {
    let thread = LoopSnapshot.Thread(id: 1, kernelID: 2, name: "t")
    let stall = Stall(
      loop: "l", thread: thread, lasted: .milliseconds(300), running: nil, stack: StackTrace([UInt]()))
    #expect(
      stall.description
        == "loop \"l\" has been blocked for 300 ms, on t (thread 1, kernel id 2). Where it stands is not known.")
  }
}
