import Testing

@testable import UVLoop

/// Reports of calls that took too long, when they have ended.
@Suite(.alone) struct SlowCallTests {
  /// Keeps what a loop reported of calls that took at least so long: on a busy machine any other may be slow too.
  final class Log: Sendable {
    private let reports = Shared<[SlowCall]>([])
    private let came = Event("a report")
    private let least: Duration

    init(atLeast least: Duration = .milliseconds(300)) { self.least = least }

    func add(_ call: SlowCall) {
      if call.ran < least { return }
      reports.update { $0.append(call) }
      came.signal()
    }

    var all: [SlowCall] { reports.value }

    func wait(times: Int = 1) async throws { try await came.wait(times: times) }
  }

  /// 300 ms on the loop, over a threshold of 200.
  private static func block() { spin(for: .milliseconds(300)) }

  /// What one thing that blocks leads to.
  private func report(of begin: @Sendable (isolated EventLoop) throws -> Void) async throws -> SlowCall {
    let log = Log()
    try await withTestLoop("busy") { loop, _ in
      try loop.reportSlowCalls(over: .milliseconds(200)) {
        #expect(loop.isCurrent)
        log.add($0)
      }
      try await loop.run { loop in try begin(loop) }
      try await log.wait()
      // What comes later does so before this returns.
      await loop.run { _ in }
    }
    #expect(log.all.count == 1, "\(log.all)")
    let call = try #require(log.all.first)
    #expect(call.loop == "busy" && call.ran >= .milliseconds(300) && call.ran < .seconds(30))
    #expect(call.waited >= .zero && call.waited < .seconds(30))
    #expect((call.site == nil) == (call.kind == .task))
    return call
  }

  @Test func `J-01 a posted closure that takes 300 ms over a threshold of 200 ms is reported once`() async throws {
    let call = try await report { loop in try loop.post { Self.block() } }
    #expect(call.kind == .post && call.label == nil)
    #expect(call.description.hasPrefix("post ran for ") && call.description.contains("on loop \"busy\""))
  }

  @Test func `L-90 a callback of a stream that takes 300 ms is reported with both ends`() async throws {
    let listener = try PlainListener()
    let ends = Shared("")
    let log = Log()
    try await onTestLoop { loop, _ in
      try loop.reportSlowCalls(over: .milliseconds(200)) { log.add($0) }
      let stream = try await loop.connect(to: .loopback(port: listener.port))
      let peer = try listener.accept()
      try stream.startReading({ _ in Self.block() }, atEnd: { _ in })
      try peer.sendAll([1])
      try await log.wait()
      ends.value = "\(try #require(stream.localAddress)) > 127.0.0.1:\(listener.port)"
      stream.close()
    }
    let call = try #require(log.all.first)
    #expect(call.kind.rawValue == "TCPStream" && call.label == ends.value)
    #expect(call.description.hasPrefix("TCPStream \"\(ends.value)\" ran for "))
  }

  @Test func `J-01 a scheduled call that takes 300 ms is reported once`() async throws {
    let call = try await report { loop in
      try loop.schedule(after: .milliseconds(1)) {
        _ = loop
        Self.block()
      }
    }
    #expect(call.kind == .scheduledCall && call.label == nil)
  }

  @Test(arguments: HandleKind.allCases)
  func `J-01 a callback of a handle that takes 300 ms is reported once`(kind: HandleKind) async throws {
    let call = try await report { loop in
      var handle: AnyHandle?
      let made = try AnyHandle(kind, isolation: loop) {
        Self.block()
        handle?.close()
        handle = nil
      }
      handle = made
      try made.start()
      try made.provoke()
    }
    #expect(call.kind == CallKind(rawValue: kind.typeName) && call.label == nil)
  }

  @Test func `J-01 the first part of a task is reported with the task's name`() async throws {
    let call = try await report { loop in
      loop.task(name: "reader") { _ in Self.block() }
    }
    #expect(call.kind == .task && call.label == "reader")
    #expect(call.description.hasPrefix("task \"reader\" ran for "))
  }

  @Test func `J-01 a later part of a task is reported with the task's name`() async throws {
    let call = try await report { loop in
      loop.task(name: "writer") { loop in
        try await loop.sleep(for: .milliseconds(1))
        try await loop.sleep(for: .milliseconds(1))
        Self.block()
      }
    }
    #expect(call.kind == .task && call.label == "writer")
  }

  @Test func `J-01 a task that began before anybody wanted reports is reported with its name`() async throws {
    let log = Log()
    try await onTestLoop { loop, _ in
      let (began, isOn) = (Event("the task"), Event("reports are on"))
      let task = loop.task(name: "early") { loop in
        began.signal()
        _ = try await loop.offload { isOn.waitBlocking() }
        Self.block()
      }
      try await began.wait()
      try loop.reportSlowCalls(over: .milliseconds(200)) { log.add($0) }
      isOn.signal()
      try await task.value
    }
    #expect(log.all.map(\.label) == ["early"] && log.all.first?.kind == .task)
  }

  @Test func `J-01 each part of an actor's method is reported as a task without a name`() async throws {
    let log = Log()
    try await withTestLoop { loop, _ in
      try loop.reportSlowCalls(over: .milliseconds(200)) { log.add($0) }
      await loop.run { _ in Self.block() }
      try await log.wait()
    }
    #expect(log.all.map(\.kind) == [.task] && log.all.first?.label == nil)
  }

  @Test func `J-02 reports are switched off and on again while the loop runs`() async throws {
    let (first, second) = (Log(), Log())
    try await withTestLoop { loop, _ in
      func block() async { await loop.run { _ in Self.block() } }
      await block()
      try loop.reportSlowCalls(over: .milliseconds(200)) { first.add($0) }
      await block()
      try await first.wait()
      loop.stopReportingSlowCalls()
      loop.stopReportingSlowCalls()
      await block()
      try loop.reportSlowCalls(over: .milliseconds(250)) { second.add($0) }
      await block()
      try await second.wait()
    }
    #expect(first.all.count == 1 && second.all.count == 1)
  }

  @Test func `J-02 a second request replaces threshold and report`() async throws {
    let (first, second) = (Log(), Log())
    try await withTestLoop { loop, _ in
      try loop.reportSlowCalls(over: .milliseconds(200)) { first.add($0) }
      try loop.reportSlowCalls(over: .seconds(3_600)) { second.add($0) }
      await loop.run { _ in Self.block() }
      // A call's length is looked at behind its end, which may be later than its caller goes on.
      await loop.run { _ in }
      try loop.reportSlowCalls(over: .nanoseconds(1)) { second.add($0) }
      await loop.run { _ in Self.block() }
      try await second.wait()
    }
    #expect(first.all.isEmpty && second.all.count == 1)
  }

  @Test func `J-02 what was posted before is reported as if it had not waited`() async throws {
    let log = Log()
    try await withTestLoop { loop, _ in
      let (posted, isOn) = (Event("posted"), Event("reports are on"))
      try loop.post {
        posted.signal()
        isOn.waitBlocking()
      }
      try await posted.wait()
      try loop.post { Self.block() }
      try loop.reportSlowCalls(over: .milliseconds(200)) { log.add($0) }
      isOn.signal()
      try await log.wait()
    }
    #expect(log.all.map(\.kind) == [.post] && log.all.first?.waited == .zero)
  }

  @Test func `J-02 a report may switch reports off, and others on`() async throws {
    let (first, second) = (Log(), Log())
    try await withTestLoop { loop, _ in
      try loop.reportSlowCalls(over: .milliseconds(200)) { call in
        first.add(call)
        loop.stopReportingSlowCalls()
        try? loop.reportSlowCalls(over: .milliseconds(250)) { second.add($0) }
      }
      for _ in 0..<2 { await loop.run { _ in Self.block() } }
      try await second.wait()
    }
    #expect(first.all.count == 1 && second.all.count == 1)
  }

  @Test func `J-02 the report is released when it is replaced, when reports end, and with the loop`() async throws {
    let gone = Counter()
    try await withTestLoop { loop, _ in
      func report() throws {
        let witness = Witness(gone)
        try loop.reportSlowCalls(over: .seconds(1)) { _ in witness.hold() }
      }
      try report()
      try report()
      #expect(gone.value == 1)
      loop.stopReportingSlowCalls()
      #expect(gone.value == 2)
      try report()
    }
    await expectEventually { gone.value == 3 }
  }

  @Test func `J-07 a closure that waited for 100 ms and ran for 1 ms says so`() async throws {
    let calls = try await undisturbed(below: .milliseconds(20)) {
      let log = Log(atLeast: .milliseconds(1))
      try await withTestLoop { loop, _ in
        try loop.reportSlowCalls(over: .microseconds(900)) { log.add($0) }
        let (began, isPosted) = (Event("began"), Event("posted"))
        try loop.post {
          began.signal()
          isPosted.waitBlocking()
          spin(for: .milliseconds(100))
        }
        try await began.wait()
        try loop.post { spin(for: .milliseconds(1)) }
        isPosted.signal()
        try await log.wait(times: 2)
      }
      return log.all
    }
    let call = try #require(calls.count >= 2 ? calls[1] : nil)
    #expect(call.kind == .post)
    #expect(call.waited >= .milliseconds(100) && call.waited < .seconds(10), "\(call)")
    #expect(call.ran >= .milliseconds(1) && call.ran < .milliseconds(100), "\(call)")
  }

  @Test func `J-07 a scheduled call has waited since it was due`() async throws {
    let log = Log(atLeast: .milliseconds(1))
    try await onTestLoop { loop, _ in
      try loop.reportSlowCalls(over: .microseconds(900)) { if $0.kind == .scheduledCall { log.add($0) } }
      try loop.schedule(after: .milliseconds(200)) {
        _ = loop
        spin(for: .milliseconds(1))
      }
      spin(for: .milliseconds(300))
      try await log.wait()
    }
    let call = try #require(log.all.first)
    #expect(call.waited >= .milliseconds(95) && call.waited < .seconds(10), "\(call)")
  }

  @Test(arguments: [Duration.zero, .nanoseconds(-1), .seconds(-5)])
  func `a threshold of zero or less is refused, and the reports that were on go on`(_ threshold: Duration) async throws
  {
    let log = Log()
    try await withTestLoop { loop, _ in
      try loop.reportSlowCalls(over: .milliseconds(200)) { log.add($0) }
      do throws(UVError) {
        try loop.reportSlowCalls(over: threshold) { _ in }
        Issue.record("\(threshold) was not refused")
      } catch {
        #expect(error.code == .invalidArgument && error.call == "reportSlowCalls")
        #expect(error.message.hasSuffix("it must be greater than zero."))
      }
      await loop.run { _ in Self.block() }
      try await log.wait()
    }
  }

  @Test func `after shutdown reports are refused with loopClosed, and may be ended`() async throws {
    let loop = try await withTestLoop { loop, _ in loop }
    try expectCode(.loopClosed) { try loop.reportSlowCalls(over: .seconds(1)) { _ in } }
    loop.stopReportingSlowCalls()
  }

  @Test func `a report may begin the shutdown`() async throws {
    let began = Event("a shutdown")
    try await withTestLoop { loop, _ in
      try loop.reportSlowCalls(over: .milliseconds(200)) { call in
        if call.ran < .milliseconds(300) { return }
        Task { await loop.shutdown() }
        loop.stopReportingSlowCalls()
        began.signal()
      }
      await loop.run { _ in Self.block() }
      try await began.wait()
    }
  }
}
