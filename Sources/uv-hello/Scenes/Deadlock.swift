import ArgumentParser
import Dispatch
import UVLoop

/// Two programs that would hang on other loops. Here the call that would complete the deadlock is refused.
struct Deadlock: Scene {
  static let name = "deadlock"
  static let title = "Two deadlocks, refused with an explanation"
  static let example = "--workers 1"

  @Option(in: 1...64, "How many threads the pool has") var workers = 2
  @OptionGroup var format: FormatOptions

  func prepare() throws { try ThreadPool.setSize(workers) }

  func play(on loop: EventLoop, _ output: Output) throws {
    output.say("The loop's own thread waits for the loop:")
    try loop.runBlocking { loop in
      do { try waitForMyself(loop) } catch { output.fact("refused", .error(error)) }
    }

    output.say("Every worker of the pool waits for a call that needs a worker:")
    let size = ThreadPool.size
    // Each outer call goes on when all of them have begun: then no worker is free.
    let begun = DispatchGroup()
    for _ in 1...size { begun.enter() }
    try loop.runBlocking { loop in
      await withTaskGroup { group in
        for number in 1...size {
          group.addTask {
            do {
              let worker = try await loop.offload(label: "outer \(number)") {
                begun.leave()
                try waitForAll(begun)
                return try waitForWorker(number, loop)
              }
              output.fact("inner call ran on", .thread(worker))
            } catch {
              output.fact("refused", .error(error))
            }
          }
        }
      }
    }
  }

  /// Synchronous, since the compiler refuses `runBlocking` in asynchronous code.
  private func waitForMyself(_ loop: EventLoop) throws { try loop.runBlocking { _ in } }

  /// Blocks its worker until all outer calls have begun. After Ctrl-C those that are still queued never will: so it
  /// asks now and then whether to go on.
  private func waitForAll(_ begun: DispatchGroup) throws {
    while begun.wait(timeout: .now() + .milliseconds(20)) == .timedOut { try Task.checkCancellation() }
  }

  /// Holds a worker, and waits for another one. The refusal comes to the call that would have taken the last one; the
  /// worker which that sets free serves the others.
  private func waitForWorker(_ number: Int, _ loop: EventLoop) throws -> ThreadIdentity {
    try loop.runBlocking { loop in try await loop.offload(label: "inner \(number)") { ThreadIdentity.current } }
  }
}
