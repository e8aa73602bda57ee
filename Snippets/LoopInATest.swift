// How a test uses a loop: one of its own, events instead of times, counted callbacks, and a look at what was left.

import UVLoop

try await countsBeats()
try await releasesItsCallback()
try await waitsElsewhere()
try await noticesWhatIsLeft()

// snippet.loop
/// A loop for one test, which fails when the loop could not end cleanly.
func withTestLoop<R: Sendable>(_ body: @Sendable (isolated EventLoop) async throws -> R) async throws -> R {
  let loop = try EventLoop(.init(name: "test"))
  let result: Result<R, any Error>
  do {
    result = .success(try await loop.run { loop in try await body(loop) })
  } catch {
    result = .failure(error)
  }
  let report = await loop.shutdown(within: .seconds(20))
  if !report.unfinished.isEmpty || !report.foreignHandles.isEmpty { throw LeftBehind(report: report) }
  return try result.get()
}

struct LeftBehind: Error {
  let report: ShutdownReport
}
// snippet.end

func countsBeats() async throws {
  // snippet.count
  let beats = try await withTestLoop { loop in
    var beats = 0
    let third = try Promise<Void>()
    let timer = try TimerHandle()
    try timer.start(after: .milliseconds(10), repeating: .milliseconds(10)) {
      beats += 1
      if beats == 3 {
        timer.close()
        third.resume(returning: ())
      }
    }
    try await loop.withTimeout(.seconds(20)) { try await third.value() }  // one too few ends here
    for _ in 0..<5 { try await loop.sleep(for: .zero) }  // one too many comes here
    return beats
  }
  // snippet.end
  print(beats, "beats")
}

func releasesItsCallback() async throws {
  let isReleased = try await withTestLoop { loop in
    // snippet.release
    final class Resource {}
    let timer = try TimerHandle()
    weak var resource: Resource?
    do {
      let held = Resource()
      resource = held
      try timer.start(after: .seconds(3_600)) { _ = held }
    }
    timer.close()
    let isReleased = resource == nil
    // snippet.end
    return isReleased
  }
  print("released:", isReleased)
}

func waitsElsewhere() async throws {
  let loop = try EventLoop()
  // snippet.elsewhere
  let (marks, mark) = AsyncStream.makeStream(of: ThreadIdentity.self)
  try loop.post {
    mark.yield(.current)
    mark.finish()
  }
  let seen = try await loop.withTimeout(.seconds(20)) {
    var seen: [ThreadIdentity] = []
    for await thread in marks { seen.append(thread) }
    return seen
  }
  // snippet.end
  await loop.shutdown()
  print("posted once, on the loop:", seen == [loop.thread])
}

func noticesWhatIsLeft() async throws {
  let loop = try EventLoop(.init(name: "test"))
  // snippet.left
  let stubborn = loop.task(name: "stubborn") { loop in
    while !Task.isCancelled { await Task.yield() }
    while loop.state != .stopped { await Task.yield() }  // does not end when it is told to
  }
  let report = await loop.shutdown(within: .milliseconds(50))
  print(report)  // ended in 53 ms: unfinished task "stubborn", age 53 ms
  // snippet.end
  await stubborn.value
}
