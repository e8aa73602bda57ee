import CLibUV
import Testing

@testable import UVLoop

/// What unsafe code can do: call a handle on a thread that is not its loop's.
@Suite(.alone) struct OffLoopTrapTests {
  enum Call: String, CaseIterable, Codable, Sendable {
    case timerStart = "TimerHandle.start"
    case timerStop = "TimerHandle.stop"
    case timerAgain = "TimerHandle.again"
    case timerInterval = "TimerHandle.repeatInterval"
    case timerIntervalSet = "TimerHandle.repeatInterval, set"
    case timerDueIn = "TimerHandle.dueIn"
    case timerDueInStopped = "TimerHandle.dueIn, stopped"
    case timerIsActive = "TimerHandle.isActive"
    case timerIsClosed = "TimerHandle.isClosed"
    case timerClose = "TimerHandle.close"
    case asyncIsClosed = "AsyncHandle.isClosed"
    case asyncClose = "AsyncHandle.close"
    case pollStart = "PollHandle.start"
    case pollStop = "PollHandle.stop"
    case pollIsActive = "PollHandle.isActive"
    case pollIsClosed = "PollHandle.isClosed"
    case signalStart = "SignalHandle.start"
    case signalStop = "SignalHandle.stop"
    case signalIsActive = "SignalHandle.isActive"
    case signalIsClosed = "SignalHandle.isClosed"
    case scheduledIsPending = "ScheduledCall.isPending"
    case scheduledDeadline = "ScheduledCall.deadline"
    case scheduledCancel = "ScheduledCall.cancel"
    case scheduledCancelTwice = "ScheduledCall.cancel, twice"
    case scheduledReschedule = "ScheduledCall.reschedule"
    case scheduledRescheduleCancelled = "ScheduledCall.reschedule, cancelled"
    case promiseIsResumed = "Promise.isResumed"
    case promiseResume = "Promise.resume"

    /// What the sentence names.
    var name: Substring { rawValue.prefix { $0 != "," } }
  }

  @Test(arguments: Call.allCases)
  func `A-09 a call off the loop traps and names the handle, the loop, both threads and the way out`(
    _ call: Call
  ) async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { [call] in
      let loop = try EventLoop(.init(name: "kitchen"))
      let handles = try await loop.run { loop in try UnsafeHandles(isolation: loop) }
      try await onPlainThread {
        Thread.name("stranger")
        try handles.make(call)
      }
    }
    let text = try #require(result).standardErrorText
    #expect(text.contains("UVLoop: \(call.name) was called off its loop."))
    #expect(text.contains("It belongs to loop \"kitchen\" on kitchen (thread "))
    #expect(text.contains("the call came from stranger (thread "))
    #expect(text.contains("loop.post { … }"))
  }

  @Test func `A-20 a description off the loop names the kind and the loop, and reads no state`() async throws {
    try await withTestLoop("kitchen") { loop, _ in
      let handles = try await loop.run { loop in try UnsafeHandles(isolation: loop) }
      let texts = try await onPlainThread { handles.descriptions }
      let names = [
        "TimerHandle", "AsyncHandle", "PollHandle for descriptor", "SignalHandle for", "ScheduledCall", "Promise",
      ]
      try #require(texts.count == names.count)
      for (text, typeName) in zip(texts, names) {
        #expect(text.hasPrefix(typeName))
        #expect(text.hasSuffix("on loop \"kitchen\", asked off its loop"))
      }
      await loop.run { _ in handles.close() }
    }
  }

  @Test func `A-20 once the loop has ended anybody may look`() async throws {
    try await withTestLoop("kitchen") { loop, _ in
      let handles = try await loop.run { loop in try UnsafeHandles(isolation: loop) }
      await loop.shutdown()
      try await onPlainThread {
        #expect(handles.areClosed)
        // Nothing is left of them that could be done.
        handles.close()
        for text in handles.descriptions { #expect(!text.contains("asked off its loop"), "\(text)") }
      }
    }
  }

  @Test func `A-20 value off the loop throws notOnLoop, also where there is a result`() async throws {
    try await withTestLoop("kitchen") { loop, _ in
      let handles = try await loop.run { loop in try UnsafeHandles(isolation: loop) }
      await loop.run { _ in handles.resume() }
      let error = await #expect(throws: UVError.self) { try await Task.detached { try await handles.value() }.value }
      #expect(error?.code == .notOnLoop)
      #expect(error?.call == "Promise.value")
      await loop.run { _ in handles.close() }
    }
  }
}

/// Handles that the compiler no longer looks after.
private final class UnsafeHandles: @unchecked Sendable {  // Does not hold: that is what the tests are about.
  private let timer: TimerHandle
  private let async: AsyncHandle
  private let poll: PollHandle
  private let signal: SignalHandle
  private let call: ScheduledCall
  private let cancelled: ScheduledCall
  private let stopped: TimerHandle
  private let promise: Promise<Int>

  init(isolation: isolated EventLoop) throws {
    timer = try TimerHandle()
    try timer.start(after: .seconds(100), repeating: .seconds(100)) {}
    async = try AsyncHandle {}
    poll = try PollHandle(descriptor: Pipe().reader)
    signal = try SignalHandle(.user1)
    call = try isolation.schedule(after: .seconds(100)) {}
    cancelled = try isolation.schedule(after: .seconds(100)) {}
    cancelled.cancel()
    stopped = try TimerHandle()
    promise = try Promise()
  }

  func make(_ call: OffLoopTrapTests.Call) throws {
    switch call {
    case .timerStart: try timer.start(after: .zero) {}
    case .timerStop: timer.stop()
    case .timerAgain: try timer.again()
    case .timerInterval: _ = timer.repeatInterval
    case .timerIntervalSet: timer.repeatInterval = .seconds(1)
    case .timerDueIn: _ = timer.dueIn
    case .timerDueInStopped: _ = stopped.dueIn
    case .timerIsActive: _ = timer.isActive
    case .timerIsClosed: _ = timer.isClosed
    case .timerClose: timer.close()
    case .asyncIsClosed: _ = async.isClosed
    case .asyncClose: async.close()
    case .pollStart: try poll.start(for: .readable) { _ in }
    case .pollStop: poll.stop()
    case .pollIsActive: _ = poll.isActive
    case .pollIsClosed: _ = poll.isClosed
    case .signalStart: try signal.start {}
    case .signalStop: signal.stop()
    case .signalIsActive: _ = signal.isActive
    case .signalIsClosed: _ = signal.isClosed
    case .scheduledIsPending: _ = self.call.isPending
    case .scheduledDeadline: _ = self.call.deadline
    case .scheduledCancel: self.call.cancel()
    case .scheduledCancelTwice: cancelled.cancel()
    case .scheduledReschedule: self.call.reschedule(after: .zero)
    case .scheduledRescheduleCancelled: cancelled.reschedule(after: .zero)
    case .promiseIsResumed: _ = promise.isResumed
    case .promiseResume: promise.resume(returning: 1)
    }
  }

  var descriptions: [String] { ["\(timer)", "\(async)", "\(poll)", "\(signal)", "\(call)", "\(promise)"] }

  var areClosed: Bool {
    timer.isClosed && async.isClosed && poll.isClosed && signal.isClosed && !timer.isActive && !poll.isActive
      && !signal.isActive && timer.dueIn == nil && !call.isPending && call.deadline > .init(nanoseconds: 0)
      && !promise.isResumed
  }

  func resume() { promise.resume(returning: 1) }

  func value() async throws -> Int { try await promise.value() }

  func close() {
    for timer in [timer, stopped] { timer.close() }
    async.close()
    poll.close()
    signal.close()
    call.cancel()
    call.reschedule(after: .zero)
  }
}

/// A pipe that stays open until the process ends.
private struct Pipe {
  let reader: Int32

  init() {
    var ends: [Int32] = [-1, -1]
    precondition(unsafe pipe(&ends) == 0)
    reader = ends[0]
  }
}
