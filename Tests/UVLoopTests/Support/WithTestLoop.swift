import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Every test gets its loop here. Afterwards the loop must have ended cleanly: nothing unfinished, every handle closed
/// and freed, its thread gone. (A `uv_loop_close` that refuses stops the process.)
///
/// `calls` counts callbacks: declare how often each must come with `calls.expect`, and mark each with `calls.mark`. A
/// missed or extra one fails the test when the loop has ended.
func withTestLoop<R>(
  _ name: String = "test", time: EventLoop.Time = .real, metrics: Bool = false, debug: Bool = false,
  sourceLocation: SourceLocation = #_sourceLocation,
  _ body: (_ loop: EventLoop, _ calls: Calls) async throws -> R
) async throws -> R {
  let loop = try EventLoop(.init(name: name, time: time, metrics: metrics, debug: debug))
  let handles = await loop.run { loop in
    if isQueued { loop.probe.runsInline = false }
    return loop.probe.handles
  }
  let calls = Calls()
  let result: Result<R, any Error>
  do { result = .success(try await body(loop, calls)) } catch { result = .failure(error) }
  let report = await loop.shutdown(within: .seconds(20))
  expectClean(report, handles, sourceLocation)
  await expectThreadGone(loop.thread, sourceLocation)
  calls.verify(sourceLocation)
  return try result.get()
}

/// Like `withTestLoop`, with a body that runs on the loop, in a task that prefers it.
func onTestLoop<R: Sendable>(
  _ name: String = "test", time: EventLoop.Time = .real, metrics: Bool = false, debug: Bool = false,
  sourceLocation: SourceLocation = #_sourceLocation,
  _ body: @Sendable (_ loop: isolated EventLoop, _ calls: Calls) async throws -> R
) async throws -> R {
  try await withTestLoop(
    name, time: time, metrics: metrics, debug: debug, sourceLocation: sourceLocation
  ) { loop, calls in
    try await loop.run { loop in try await body(loop, calls) }
  }
}

/// Whether tasks shall not go on inside libuv's callbacks, but behind what is queued: `UVLOOP_QUEUED=1`. Then nothing
/// may be lost either.
private let isQueued = unsafe getenv("UVLOOP_QUEUED") != nil

func expectClean(_ report: ShutdownReport, _ handles: HandleCount, _ location: SourceLocation) {
  #expect(report.unfinished.isEmpty, "left unfinished: \(report)", sourceLocation: location)
  #expect(report.foreignHandles.isEmpty, "left on the loop: \(report)", sourceLocation: location)
  #expect(handles.created == handles.closed, "handles made and closed differ", sourceLocation: location)
  #expect(handles.created == handles.freed, "handles made and freed differ", sourceLocation: location)
}

/// The loop's thread ends right after its report. There is no event for the end of a thread but its absence.
func expectThreadGone(_ thread: ThreadIdentity, _ location: SourceLocation = #_sourceLocation) async {
  #if os(Linux)
    let isGone = await eventually { !Process.threads.contains(thread.kernelID) }
    #expect(isGone, "thread \(thread) is still there", sourceLocation: location)
  #endif
}
