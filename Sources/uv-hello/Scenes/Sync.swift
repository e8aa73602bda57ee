import ArgumentParser
import UVLoop

/// A program without `async`. Its main thread blocks whenever it likes, and the loop's thread goes on.
struct Sync: Scene {
  static let name = "sync"
  static let title = "A synchronous program with a loop in the background"
  static let example = "--block 500ms"

  @Option(in: "1ms"..."1m", "How long the main thread blocks, and then a worker") var block: Span = "750ms"
  @OptionGroup var format: FormatOptions

  func play(on loop: EventLoop, _ output: Output) throws {
    // Outside this program: `let loop = try EventLoop()`.
    let heart = Heart(on: loop)
    try loop.runBlocking { _ in try await heart.start() }

    output.say("The main thread blocks:")
    output.fact("blocked", .thread(try blockThread(for: block.duration)))
    let first = try loop.runBlocking { _ in await heart.beats }
    output.fact("beats of the loop", .number(first))

    output.say("It waits for asynchronous code, which offloads what blocks:")
    let (body, call) = try loop.runBlocking(timeout: block.duration + .seconds(10)) { loop in
      let body = ThreadIdentity.current
      return (body, try await loop.offload(label: "blocks") { try blockThread(for: block.duration) })
    }
    output.fact("asynchronous code", .thread(body))
    output.fact("blocked", .thread(call))
    output.fact("beats of the loop", .number(try loop.runBlocking { _ in await heart.beats } - first))

    output.say("It posts, and ends the loop without waiting for the post first:")
    try loop.post { output.fact("posted code", .thread(.current)) }
    let report = try loop.shutdownBlocking()
    output.fact("the report", .text("\(report)"))
    output.fact("the loop", .text(loop.state.rawValue))
    do { try loop.post {} } catch { output.fact("a late post", .error(error)) }
  }
}

/// Lives on the loop's thread: its state needs no lock.
private actor Heart: LoopActor {
  nonisolated let loop: EventLoop
  private(set) var beats = 0

  init(on loop: EventLoop) { self.loop = loop }

  func start() throws {
    // The loop keeps a timer that runs, and closes it when it ends.
    let timer = try TimerHandle()
    try timer.start(after: .milliseconds(25), repeating: .milliseconds(25)) { self.beats += 1 }
  }
}
