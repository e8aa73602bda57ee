// An actor that lives on a loop: its state, its methods and its handles belong to the loop's thread.

import UVLoop

actor Meter: LoopActor {
  nonisolated let loop: EventLoop
  private(set) var beats = 0
  private var timer: TimerHandle?

  init(on loop: EventLoop) { self.loop = loop }

  func start(every interval: Duration) throws {
    let timer = try TimerHandle()
    try timer.start(after: interval, repeating: interval) { self.beats += 1 }
    self.timer = timer
  }

  /// The timer's callback keeps the meter, and the loop keeps a timer that runs: `close` lets both go.
  func stop() {
    timer?.close()
    timer = nil
  }
}

try await withEventLoop { loop in
  let meter = Meter(on: loop)
  try await meter.start(every: .milliseconds(50))  // one thread: no hop
  try await loop.sleep(for: .milliseconds(500))
  print(await meter.beats, "beats on", loop.thread.name)
  await meter.stop()
}
