import Dispatch
import NIOCore
import UVLoop

/// An actor with something small to do, on whichever executor.
protocol Meter: Actor {
  func mark(_ id: Int)
  func check() throws
}

actor LoopMeter: Meter, LoopActor {
  nonisolated let loop: UVLoop.EventLoop
  private let tally: Tally
  private let other: LoopMeter?

  init(_ loop: UVLoop.EventLoop, _ tally: Tally) {
    self.loop = loop
    self.tally = tally
    other = nil
  }

  /// One that calls another one.
  init(_ loop: UVLoop.EventLoop, calling other: LoopMeter) {
    self.loop = loop
    tally = Tally(0)
    self.other = other
  }

  func mark(_ id: Int) { tally.mark(id) }
  func call(_ count: Int) async { if let other { for id in 0..<count { await other.mark(id) } } }
  func check() throws { try tally.check() }
}

actor ThreadMeter: Meter, ThreadActor {
  nonisolated let thread: OffloadThread
  private let tally: Tally

  init(_ thread: OffloadThread, _ tally: Tally) {
    self.thread = thread
    self.tally = tally
  }

  func mark(_ id: Int) { tally.mark(id) }
  func check() throws { try tally.check() }
}

actor NIOMeter: Meter {
  private nonisolated let loop: any NIOCore.EventLoop
  private let tally: Tally
  private let other: NIOMeter?

  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }

  init(_ loop: any NIOCore.EventLoop, _ tally: Tally) {
    self.loop = loop
    self.tally = tally
    other = nil
  }

  init(_ loop: any NIOCore.EventLoop, calling other: NIOMeter) {
    self.loop = loop
    tally = Tally(0)
    self.other = other
  }

  func mark(_ id: Int) { tally.mark(id) }
  func call(_ count: Int) async { if let other { for id in 0..<count { await other.mark(id) } } }
  func check() throws { try tally.check() }
}

actor DispatchMeter: Meter {
  private nonisolated let executor = QueueExecutor()
  private let tally: Tally

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  init(_ tally: Tally) { self.tally = tally }

  func mark(_ id: Int) { tally.mark(id) }
  func check() throws { try tally.check() }
}

/// Dispatch's queues are executors on Apple's systems only.
final class QueueExecutor: SerialExecutor {
  private let queue = DispatchQueue(label: "bench")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}

actor DefaultMeter: Meter {
  private let tally: Tally
  private let other: DefaultMeter?

  init(_ tally: Tally) {
    self.tally = tally
    other = nil
  }

  init(calling other: DefaultMeter) {
    tally = Tally(0)
    self.other = other
  }

  func mark(_ id: Int) { tally.mark(id) }
  func call(_ count: Int) async { if let other { for id in 0..<count { await other.mark(id) } } }
  func check() throws { try tally.check() }
}
