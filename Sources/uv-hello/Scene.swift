import ArgumentParser
import Synchronization
import UVLoop

/// One scene of the tour, and a subcommand.
protocol Scene: ParsableCommand, Sendable {
  static var name: String { get }
  static var title: String { get }
  /// Arguments that show how it is used.
  static var example: String { get }
  var format: FormatOptions { get }

  /// What has to be done before there is a second thread.
  func prepare() throws

  /// Whether Ctrl-C is what the scene is about, and none of the program's business.
  var countsInterrupts: Bool { get }

  /// Whether the loop measures how late and how busy it is.
  var measuresLoop: Bool { get }

  /// Runs on the main thread, with a loop of its own.
  func play(on loop: EventLoop, _ output: Output) throws
}

extension Scene {
  static var configuration: CommandConfiguration {
    CommandConfiguration(commandName: name, abstract: "\(title).", discussion: "Example: uv-hello \(name) \(example)")
  }

  func prepare() throws {}

  var countsInterrupts: Bool { false }

  var measuresLoop: Bool { false }

  func run() throws {
    try prepare()
    let output = Output(scene: Self.name, isJSON: format.json)
    output.title(Self.title)
    try perform(output)
  }

  /// Makes a loop, plays, and ends the loop, however the scene ended.
  func perform(_ output: Output) throws {
    let loop = try EventLoop(.init(name: "\(Self.name)-loop", metrics: measuresLoop))
    let interruption = Interruption(of: loop, output)
    do {
      if !countsInterrupts { try interruption.watch() }
      try play(on: loop, output)
    } catch {
      interruption.waitIfUnderWay()
      try loop.shutdownBlocking()
      throw error
    }
    try loop.shutdownBlocking()
    interruption.waitIfUnderWay()
  }
}

/// What Ctrl-C and SIGTERM do to a scene.
///
/// Their default would end the process on the spot, and a shell would show 130 and 143 for that, too. Here the loop
/// watches them, so that it ends as it always does: what waits is resumed, tasks are cancelled and awaited, handles
/// close. The exit code is the one that a shell would have shown. A second signal does its default: it ends a program
/// that does not come to an end. Between two scenes there is no loop that would have to end, and the default does.
private final class Interruption: Sendable {
  private let loop: EventLoop
  private let output: Output
  private let isUnderWay = Atomic(false)

  init(of loop: EventLoop, _ output: Output) {
    self.loop = loop
    self.output = output
  }

  func watch() throws {
    try loop.runBlocking { loop in
      for signal in [Signal.interrupt, .terminate] {
        // The loop keeps a handle for as long as it is started.
        try SignalHandle(signal).startOnce { self.end(because: signal) }
      }
    }
  }

  /// On the loop. The main thread may be anywhere, in a call that blocks too, so the end does not depend on it.
  private func end(because signal: Signal) {
    if isUnderWay.exchange(true, ordering: .acquiringAndReleasing) { return }
    output.silence()
    Task.detached { [loop] in
      let report = await loop.shutdown(within: .milliseconds(500))
      // The terminal shows ^C in the line where the cursor was.
      Terminal.complain("\(signal): the loop \(report)", afterEcho: signal == .interrupt)
      Terminal.leave(128 + signal.rawValue)
    }
  }

  /// On the main thread, which must not be faster.
  func waitIfUnderWay() {
    if isUnderWay.load(ordering: .acquiring) { Terminal.waitForTheEnd() }
  }
}
