import CLibUV
import Testing

@testable import UVLoop

/// Reports of a loop that is blocked, while it lasts.
@Suite(.alone) struct WatchdogTests {
  /// What a watchdog has reported.
  final class Log: Sendable {
    private let reports = Shared<[Stall]>([])
    private let came = Event("a report of a watchdog")

    func add(_ stall: Stall) {
      reports.update { $0.append(stall) }
      came.signal()
    }

    var all: [Stall] { reports.value }

    func wait(times: Int = 1) async throws { try await came.wait(times: times) }

    /// Goes on from now.
    func forget() -> Int { reports.update { $0.count } }
  }

  /// The first report that knows where the thread stands: a busy machine may not have given it the time to answer.
  static func stackedReport(_ log: Log) async throws -> Stall {
    for times in 1...10 {
      try await log.wait(times: times)
      if let stall = log.all[..<times].last(where: { !$0.stack.frames.isEmpty }) { return stall }
    }
    return try #require(log.all.first)
  }

  @Test func `J-03 a block of 1 s is reported while it lasts, with the function that blocks`() async throws {
    let (log, functions) = (Log(), BlockingFunctions())
    try await withTestLoop("stalled") { loop, _ in
      defer { functions.release() }
      try loop.startWatchdog(over: .milliseconds(200)) { log.add($0) }
      await loop.run { _ in }
      try loop.post { functions.sleepsInUsleep() }
      let stall = try await Self.stackedReport(log)
      #expect(!functions.isReleased)
      #expect(stall.loop == "stalled")
      #expect(stall.thread.kernelID == loop.thread.kernelID && stall.thread.id == loop.thread.id)
      #expect(stall.thread.name == loop.thread.name)
      #expect(stall.lasted >= .milliseconds(200) && stall.lasted < .seconds(60))
      let running = try #require(stall.running)
      #expect(running.kind == .post && running.label == nil && running.age > .zero)
      #expect(stall.stack.description.contains("sleepsInUsleep"), "\(stall)")
      #expect(stall.description.hasPrefix("loop \"stalled\" has been blocked for "), "\(stall)")
      #expect(stall.description.contains("It runs a post. It stands in\n  0  "), "\(stall)")
    }
  }

  @Test func `J-03 a task that blocks is reported with its name`() async throws {
    let (log, functions) = (Log(), BlockingFunctions())
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.startWatchdog(over: .milliseconds(100)) { log.add($0) }
      loop.task(name: "sleeper") { loop in try await functions.blocksAfterAnAwait(on: loop) }
      try await functions.began.wait()
      let stall = try await Self.stackedReport(log)
      let last = try #require(log.all.last)
      #expect(last.running?.kind == .task && last.running?.label == "sleeper", "\(last)")
      #expect(last.description.contains("It runs \"sleeper\", a task."))
      #expect(stall.stack.description.contains("sleepsInUsleep"), "\(stall)")
    }
  }

  @Test func `J-03 a block is reported once for each doubling of the threshold`() async throws {
    let (log, functions) = (Log(), BlockingFunctions())
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.post { functions.waitsForACondition() }
      try await functions.began.wait()
      // The question waits behind what blocks.
      try loop.startWatchdog(over: .milliseconds(50)) { log.add($0) }
      try await log.wait(times: 5)
    }
    for (index, stall) in log.all.enumerated() {
      #expect(stall.lasted >= .milliseconds(50 << index), "report \(index + 1) after \(stall.lasted)")
    }
  }

  @Test func `J-03 each of several blocks is reported from the threshold on`() async throws {
    let log = Log()
    try await withTestLoop { loop, _ in
      try loop.startWatchdog(over: .milliseconds(50)) { log.add($0) }
      for times in 1...3 {
        let functions = BlockingFunctions()
        defer { functions.release() }
        let before = log.all.count
        try loop.post { functions.waitsForACondition() }
        try await log.wait(times: before + 1)
        let stall = log.all[before]
        #expect(stall.lasted < .seconds(20), "block \(times)")
        functions.release()
        await loop.run { _ in }
      }
    }
  }

  @Test func `J-03 a loop that sleeps in its poll is never reported`() async throws {
    let count = try await undisturbed(below: .milliseconds(100)) {
      let log = Log()
      try await withTestLoop { loop, _ in
        let before = loop.probe.posts
        try loop.startWatchdog(over: .milliseconds(200)) { log.add($0) }
        // Each question is a message to the loop.
        await expectEventually { loop.probe.posts >= before + 8 }
      }
      return log.all.count
    }
    #expect(count == 0)
  }

  @Test func `J-03 a loop that is busy with short calls is not reported`() async throws {
    let count = try await undisturbed(below: .milliseconds(100)) {
      let log = Log()
      try await withTestLoop { loop, _ in
        let isOver = Shared(false)
        @Sendable func again() {
          spin(for: .microseconds(100))
          if !isOver.value { try? loop.post { again() } }
        }
        let before = loop.probe.posts
        try loop.startWatchdog(over: .milliseconds(400)) { log.add($0) }
        await loop.run { _ in again() }
        await expectEventually { loop.probe.posts >= before + 6 }
        isOver.value = true
      }
      return log.all.count
    }
    #expect(count == 0)
  }

  @Test func `J-03 C code that blocks inside the poll is reported, though nobody knows what runs`() async throws {
    let (log, functions) = (Log(), BlockingFunctions())
    let (pair, neighbour) = (SocketPair(), Neighbour(functions))
    try await withTestLoop { loop, _ in
      defer { functions.release() }
      try loop.startWatchdog(over: .milliseconds(100)) { log.add($0) }
      let status = await loop.run { loop in
        unsafe loop.withUnsafeLoop { unsafe neighbour.attach(to: $0, pair.watched) }
      }
      #expect(status == 0)
      pair.feed()
      try await functions.began.wait()
      let stall = try await Self.stackedReport(log)
      let last = try #require(log.all.last)
      #expect(last.running == nil)
      #expect(stall.stack.description.contains("readsFromAPipe"), "\(stall)")
      #expect(stall.stack.frames.contains { $0.hasPrefix("uv_run") }, "\(stall)")
      functions.release()
      await loop.run { _ in neighbour.close() }
    }
  }

  /// A C library's watcher of a descriptor, whose callback blocks.
  @safe final class Neighbour: @unchecked Sendable {  // Holds because it is used on the loop alone.
    private let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    private let functions: BlockingFunctions

    init(_ functions: BlockingFunctions) { self.functions = functions }

    func attach(to loop: UnsafeMutableRawPointer, _ descriptor: Int32) -> Int32 {
      let status = unsafe uv_poll_init(loop.assumingMemoryBound(to: uv_loop_t.self), poll, descriptor)
      if status != 0 { return status }
      unsafe poll.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
      return unsafe uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { poll, _, _ in
        guard let data = unsafe poll?.pointee.data else { return }
        let this = unsafe Unmanaged<Neighbour>.fromOpaque(data).takeUnretainedValue()
        _ = unsafe uv_poll_stop(poll)
        this.functions.readsFromAPipe()
      }
    }

    func close() {
      unsafe UnsafeMutableRawPointer(poll).withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
        unsafe uv_close(handle) { unsafe UnsafeMutableRawPointer($0)?.deallocate() }
      }
    }
  }
}
