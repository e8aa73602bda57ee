// Where code runs: global actors on a loop, tasks that prefer it, and what to do with a default actor.

import UVLoop

// snippet.global
@globalActor actor RadioActor: LoopActor {
  static let shared = RadioActor()
  nonisolated let loop: EventLoop

  private init() {
    do { loop = try EventLoop(.init(name: "radio")) } catch { fatalError("\(error)") }
  }
}

@RadioActor final class Receiver {
  private var timer: TimerHandle?
  private(set) var samples = 0

  func start() throws {
    let timer = try TimerHandle()
    try timer.start(after: .zero, repeating: .milliseconds(1)) { self.samples += 1 }
    self.timer = timer
  }
}
// snippet.end

actor Cache {
  func thread() -> ThreadIdentity { .current }
}

// snippet.prefer
func compare(_ loop: EventLoop, _ cache: Cache) async {
  let free = Task { await cache.thread() == loop.thread }
  print(await free.value)  // false: a default actor runs on Swift's global pool

  let preferring = Task(executorPreference: loop.taskExecutor) { await cache.thread() == loop.thread }
  print(await preferring.value)  // true: it has no other place to be, and so runs on the loop
}
// snippet.end

try await withEventLoop { loop in await compare(loop, Cache()) }

let receiver = await Receiver()
try await receiver.start()
try await RadioActor.shared.loop.sleep(for: .milliseconds(20))
print(await receiver.samples > 0)
// snippet.shutdown
await RadioActor.shared.loop.shutdown()
// snippet.end
