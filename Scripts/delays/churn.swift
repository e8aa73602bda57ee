// Makes loops and drops them, again and again, while tasks hop to them: what a thread touches of a loop after it has
// handed something over is soon freed. `Scripts/stress delays` runs it with delayed locks under the address sanitizer.
import Glibc
import UVLoop

actor Last: LoopActor {
  nonisolated let loop: EventLoop
  private var count = 0

  init(on loop: EventLoop) { self.loop = loop }

  func touch() { count += 1 }

  /// Something else than a hop wakes the loop.
  func tick() throws {
    let timer = try TimerHandle()
    var left = 20
    try timer.start(after: .milliseconds(1), repeating: .milliseconds(1)) {
      left -= 1
      if left == 0 { timer.stop() }
    }
  }

  /// From an immediate task the call moves to a worker, and goes home to Swift's pool.
  func callOut() {
    Task.immediate { @concurrent [loop] in _ = try? await loop.offload(onCancel: .abandon) { 1 } }
    Task.immediate { @concurrent [loop] in _ = try? await loop.offload { 1 } }
  }
}

@main enum Churn {
  static func main() async throws {
    let seconds = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 60 : 60
    let clock = ContinuousClock()
    let end = clock.now + .seconds(seconds)
    var rounds = 0
    while clock.now < end {
      try await withThrowingTaskGroup { group in
        for _ in 0..<4 { group.addTask { try await round() } }
        try await group.waitForAll()
      }
      rounds += 4
    }
    print("\(rounds) loops made and dropped in \(seconds) s")
  }

  static func round() async throws {
    let last = Last(on: try EventLoop(.init(name: "churn")))
    if Bool.random() { try await last.tick() }
    if Bool.random() { await last.callOut() }
    let hops = (0..<3).map { _ in
      Task.detached {
        for _ in 0..<Int.random(in: 1...3) {
          if Bool.random() { usleep(UInt32.random(in: 0...1_500)) }
          await last.touch()
        }
      }
    }
    if Bool.random() { try? last.loop.post {} }
    let loop = last.loop
    for hop in hops { await hop.value }
    // It ends while late hops may still be on their way out of it.
    await loop.shutdown()
  }
}
