import ArgumentParser
import Foundation
import UVLoop

/// A busy loop, and what it does, asked by the main thread: the loop is shown also while it is blocked.
struct Inspect: Scene {
  static let name = "inspect"
  static let title = "A busy loop, watched from another thread"
  static let example = "--for 2s --every 100ms"

  @Option(in: "20ms"..."1m", "How often to look") var every: Span = "250ms"
  @Option(name: .customLong("for"), in: "100ms"..."24h", "How long to watch") var length: Span = "1h"
  @Option(in: "150ms"..."2s", "How long a function blocks the loop, once a second and a half")
  var stall: Span = "300ms"
  @Flag(help: "Show the loop once, at its first stall, and end.") var once = false
  @OptionGroup var format: FormatOptions

  var measuresLoop: Bool { true }

  func play(on loop: EventLoop, _ output: Output) throws {
    let watch = LoopObservation(loop)
    try watch.begin(over: max(.milliseconds(75), stall.duration / 4))
    BusyLoop(loop, stall: stall.duration).begin()

    let end = ContinuousClock.now + length.duration
    if once {
      watch.waitForStall(until: end)
      return show(try watch.view(), output)
    }
    while ContinuousClock.now < end && loop.state == .running {
      show(try watch.view(), output)
      // Nothing has to happen on this thread meanwhile: all is on the loop's thread.
      Thread.sleep(forTimeInterval: min(every.duration, ContinuousClock.now.duration(to: end)) / .seconds(1))
    }
  }

  private func show(_ view: LoopView, _ output: Output) {
    output.picture("snapshot", view.rows, view.fields)
  }
}

/// What keeps the loop busy. All of it ends with the loop.
private struct BusyLoop {
  private let loop: EventLoop
  private let stall: Duration

  init(_ loop: EventLoop, stall: Duration) {
    self.loop = loop
    self.stall = stall
  }

  func begin() {
    loop.task(name: "handles") { _ in
      // The loop keeps a handle for as long as it is started.
      try TimerHandle().start(after: .zero, repeating: .milliseconds(15)) { compute(for: .milliseconds(1)) }
      try TimerHandle().start(after: .zero, repeating: .milliseconds(400)) { compute(for: .milliseconds(4)) }
    }
    loop.task(name: "schedule") { loop in
      while true {
        try loop.schedule(after: .milliseconds(180)) { compute(for: .milliseconds(3)) }
        try await loop.sleep(for: .milliseconds(90))
      }
    }
    for number in 1...5 {
      loop.task(name: "visitor \(number)") { loop in
        while true {
          try await loop.sleep(for: .milliseconds(40 + 30 * number))
          compute(for: .milliseconds(number))
        }
      }
    }
    for number in 1...6 {
      loop.task(name: "album \(number)") { loop in
        var photo = number
        while true {
          let length = Duration.milliseconds(150 + 70 * (photo % 5))
          try await loop.offload(label: "resize photo \(photo)") { _ = try blockThread(for: length) }
          photo += 6
          if photo % 4 == 0 { try await loop.sleep(for: .milliseconds(60)) }
        }
      }
    }
    loop.task(name: "report") { [stall] loop in
      while true {
        try await loop.sleep(for: .milliseconds(500))
        blockTheLoop(for: stall)
        try await loop.sleep(for: .seconds(1))
      }
    }
  }
}

/// What must not be done on a loop. Its name is in the stack that the watchdog shows.
@inline(never)
private func blockTheLoop(for duration: Duration) {
  let end = ContinuousClock.now + duration
  // The watchdog's signal ends a `usleep` early.
  while ContinuousClock.now < end { usleep(10_000) }
}

/// Keeps the calling thread busy.
private func compute(for duration: Duration) {
  let end = ContinuousClock.now + duration
  while ContinuousClock.now < end {}
}
