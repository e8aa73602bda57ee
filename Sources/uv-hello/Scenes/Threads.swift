import ArgumentParser
import UVLoop

/// Asks the same questions in several places: which thread is this, and is it the loop's?
struct Threads: Scene {
  static let name = "threads"
  static let title = "The same questions in five places"
  static let example = "--json"

  @OptionGroup var format: FormatOptions

  func play(on loop: EventLoop, _ output: Output) throws {
    output.fact("the loop's thread", .thread(loop.thread))

    answer("main thread", loop, output)
    try loop.runBlocking { loop in answer("loop", loop, output) }
    try loop.runBlocking { loop in
      try await loop.offload(label: "who am I") { answer("pool worker", loop, output) }
    }
    // A detached task knows no loop: it runs on Swift's own pool.
    try loop.runBlocking { loop in await Task.detached { answer("detached task", loop, output) }.value }
    // One that prefers the loop runs there, without being isolated to it.
    try loop.runBlocking { loop in
      await Task.detached(executorPreference: loop.taskExecutor) { answer("preferring task", loop, output) }.value
    }
  }

  /// It is not told which thread it is about: the one that runs it answers.
  private func answer(_ place: String, _ loop: EventLoop, _ output: Output) {
    let thread = ThreadIdentity.current
    output.row(
      "answer",
      [
        "asked in": .text(place), "thread ID": .id(UInt64(thread.id)), "kernel ID": .id(thread.kernelID),
        "name": .text(thread.name), "isCurrent": .flag(loop.isCurrent),
      ])
  }
}
