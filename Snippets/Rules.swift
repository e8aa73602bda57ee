// What the compiler asks of code on a loop, and how it is written.

import UVLoop

// snippet.doors
/// Four ways onto a loop. In each of them a handle can be made.
func enter(_ loop: EventLoop, _ meter: Meter) async throws {
  try await loop.run { loop in _ = try TimerHandle() }  // waits for the result
  try loop.post { loop in _ = try? TimerHandle() }  // does not wait
  loop.task { loop in _ = try TimerHandle() }  // a task that ends with the loop
  try await meter.start()  // an actor that lives on the loop
}
// snippet.end

// snippet.actor
actor Meter: LoopActor {
  nonisolated let loop: EventLoop
  private var timer: TimerHandle?
  private var beats = 0

  /// Isolated to nobody, as the initialiser of an actor is: it makes no handles.
  init(on loop: EventLoop) { self.loop = loop }

  /// On the loop, as every method is.
  func start() throws {
    let timer = try TimerHandle()
    // The closure names `self`, so that it belongs to the loop.
    try timer.start(after: .zero, repeating: .milliseconds(10)) { self.beat() }
    self.timer = timer
  }

  private func beat() {
    beats += 1
    if beats == 3 { timer?.close() }
  }
}
// snippet.end

// snippet.helper
/// For all that is on a loop, whichever it is: takes the caller's isolation with it.
func every(
  _ interval: Duration, isolation: isolated any LoopActor = #isolation, _ body: @escaping () -> Void
) throws -> TimerHandle {
  let timer = try TimerHandle()
  try timer.start(after: interval, repeating: interval, body)
  return timer
}
// snippet.end

// snippet.inside
/// Inside a body a closure belongs to the loop if it names the body's parameter. A local function takes the loop.
func inside(_ loop: EventLoop) async throws {
  try await loop.run { loop in
    func makeTimer(on loop: isolated EventLoop) throws -> TimerHandle { try TimerHandle() }
    let timer = try makeTimer(on: loop)
    try timer.start(after: .zero) {
      _ = loop
      _ = try? TimerHandle()
    }
  }
}
// snippet.end

// snippet.leave
/// What may leave a loop: values, results of which the loop keeps nothing, and senders.
func leave(_ loop: EventLoop) async throws -> AsyncHandle.Sender {
  print(try await loop.run { loop in try TimerHandle().description })
  return try await loop.run { loop in try AsyncHandle { print("woken") }.sender }
}
// snippet.end

try await withEventLoop { loop in
  let meter = Meter(on: loop)
  try await enter(loop, meter)
  try await inside(loop)
  let timer = try every(.milliseconds(20)) { print("a beat") }
  let sender = try await leave(loop)
  sender.send()
  try await loop.sleep(for: .milliseconds(50))
  timer.close()
  sender.send()  // keeps the handle, which would close with its last sender, until here
}
