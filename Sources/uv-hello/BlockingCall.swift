import Dispatch
import UVLoop

/// Offloads a call that blocks its thread until the loop's timer has ticked ten times. If it blocked the loop, neither
/// of the two would ever go on.
func blockingCall(on loop: isolated EventLoop) async throws {
  let tenTicks = DispatchSemaphore(value: 0)
  let timer = try TimerHandle()
  var ticks = 0
  let start = loop.clock.now
  try timer.start(after: .milliseconds(25), repeating: .milliseconds(25)) {
    ticks += 1
    say(ticks == 1 ? "   •" : " •", terminator: "")
    if ticks == 10 { tenTicks.signal() }
  }

  let worker = try await loop.offload(label: "wait for ten ticks") {
    tenTicks.wait()
    return ThreadIdentity.current
  }

  timer.close()
  say("")
  fact("the call returned", "after \(ticks) ticks, \(text(start.duration(to: loop.clock.now)))")
  fact("it ran on", "\(worker)")
}
