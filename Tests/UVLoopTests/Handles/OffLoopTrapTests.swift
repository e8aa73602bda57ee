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
    case timerDueIn = "TimerHandle.dueIn"
    case timerClose = "TimerHandle.close"
    case asyncClose = "AsyncHandle.close"
    case pollStart = "PollHandle.start"
    case pollStop = "PollHandle.stop"
    case signalStart = "SignalHandle.start"
    case signalStop = "SignalHandle.stop"
    case scheduledCancel = "ScheduledCall.cancel"
    case scheduledReschedule = "ScheduledCall.reschedule"
    case promiseResume = "Promise.resume"
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
    #expect(text.contains("UVLoop: \(call.rawValue) was called off its loop."))
    #expect(text.contains("It belongs to loop \"kitchen\" on kitchen (thread "))
    #expect(text.contains("the call came from stranger (thread "))
    #expect(text.contains("loop.post { … }"))
  }
}

/// Handles that the compiler no longer looks after.
private final class UnsafeHandles: @unchecked Sendable {  // Does not hold: that is what the tests are about.
  private let timer: TimerHandle
  private let async: AsyncHandle
  private let poll: PollHandle
  private let signal: SignalHandle
  private let call: ScheduledCall
  private let promise: Promise<Int>

  init(isolation: isolated EventLoop) throws {
    timer = try TimerHandle()
    try timer.start(after: .seconds(100), repeating: .seconds(100)) {}
    async = try AsyncHandle {}
    poll = try PollHandle(descriptor: Pipe().reader)
    signal = try SignalHandle(.user1)
    call = try isolation.schedule(after: .seconds(100)) {}
    promise = try Promise()
  }

  func make(_ call: OffLoopTrapTests.Call) throws {
    switch call {
    case .timerStart: try timer.start(after: .zero) {}
    case .timerStop: timer.stop()
    case .timerAgain: try timer.again()
    case .timerInterval: timer.repeatInterval = .seconds(1)
    case .timerDueIn: _ = timer.dueIn
    case .timerClose: timer.close()
    case .asyncClose: async.close()
    case .pollStart: try poll.start(for: .readable) { _ in }
    case .pollStop: poll.stop()
    case .signalStart: try signal.start {}
    case .signalStop: signal.stop()
    case .scheduledCancel: self.call.cancel()
    case .scheduledReschedule: self.call.reschedule(after: .zero)
    case .promiseResume: promise.resume(returning: 1)
    }
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
