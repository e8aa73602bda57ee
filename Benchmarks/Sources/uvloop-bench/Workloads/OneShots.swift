import CPeers
import NIOCore
import NIOPosix
import UVLoop

extension Workload {
  /// Very many timers, each of which fires once.
  static let oneShots = Workload(
    name: "W3b.timers", title: "one-shots due within 200 ms: CPU time of all", size: 100_000,
    quickSize: 20_000, warmsUp: false, isPerOperation: false,
    peers: [
      Peer("c-uv") { try lateness($0, peer_oneshots($0, UInt32(withinMilliseconds))) },
      Peer("c-own-heap4") { try lateness($0, peer_oneshots_heap($0, UInt32(withinMilliseconds))) },
      Peer("uvloop-swift") { count in
        try await withEventLoop { loop in
          let shots = Shots(count)
          for id in 0..<count {
            let delay = shots.delay(of: id)
            try loop.schedule(after: delay) { shots.fired(id) }
          }
          await shots.tally.wait()
          return try shots.figures()
        }
      },
      Peer("nio") { count in
        try await withNIOLoop { loop in
          let shots = Shots(count)
          try await loop.submit {
            for id in 0..<count {
              let delay = shots.delay(of: id)
              loop.scheduleTask(in: .nanoseconds(delay.inNanoseconds)) { shots.fired(id) }
            }
          }.get()
          await shots.tally.wait()
          return try shots.figures()
        }
      },
      Peer("nio-callback") { count in
        try await withNIOLoop { loop in
          let shots = Shots(count)
          try await loop.submit {
            for id in 0..<count {
              let delay = shots.delay(of: id)
              try loop.scheduleCallback(in: .nanoseconds(delay.inNanoseconds), handler: Shot(shots: shots, id: id))
            }
          }.get()
          await shots.tally.wait()
          return try shots.figures()
        }
      },
    ] + Script.all)

  static let withinMilliseconds = 200

  private static func lateness(_ count: Int, _ result: peer_lateness) throws -> [Figure] {
    try Figure.requireNone(result.result.wrong, of: count)
    return [
      Figure(value: result.result.cpu_seconds * 1e3, unit: .milliseconds),
      Figure(part: ".early", value: result.early_max, unit: .milliseconds),
      Figure(part: ".late-p99", value: result.late_p99, unit: .milliseconds),
      Figure(part: ".late-max", value: result.late_max, unit: .milliseconds),
      Figure(part: ".memory", value: result.bytes, unit: .bytes),
    ]
  }

  private struct Shot: NIOScheduledCallbackHandler {
    let shots: Shots
    let id: Int
    func handleScheduledCallback(eventLoop: some NIOCore.EventLoop) { shots.fired(id) }
  }
}

/// When each of many timers was due, and how late it came. A pointer, as ``Tally`` is.
struct Shots: @unchecked Sendable {  // Holds because the loop's thread alone writes, until the tally has ended.
  private struct State {
    let tally: Tally
    let count: Int
    var random = Random()
    let due: UnsafeMutablePointer<Int64>
    let lateness: UnsafeMutablePointer<Int64>
    var memory: UInt64 = 0
    var watch = Stopwatch()
  }

  private let state: UnsafeMutablePointer<State>

  init(_ count: Int) {
    let state = State(
      tally: Tally(count), count: count, due: .allocate(capacity: count), lateness: .allocate(capacity: count))
    state.due.initialize(repeating: 0, count: count)
    state.lateness.initialize(repeating: 0, count: count)
    self.state = .allocate(capacity: 1)
    self.state.initialize(to: state)
    self.state.pointee.memory = peer_memory()
    self.state.pointee.watch = Stopwatch()
  }

  var tally: Tally { state.pointee.tally }

  /// A new timer's delay. Its deadline counts from now.
  func delay(of id: Int) -> Duration {
    let milliseconds = state.pointee.random.below(Workload.withinMilliseconds)
    state.pointee.due[id] = Int64(peer_now()) + Int64(milliseconds) * 1_000_000
    return .milliseconds(milliseconds)
  }

  func fired(_ id: Int) {
    state.pointee.lateness[id] = Int64(peer_now()) - state.pointee.due[id]
    tally.mark(id)
  }

  func figures() throws -> [Figure] {
    let state = state.pointee
    let cpu = state.watch.cpuSeconds
    let peak = peer_peak_memory()
    try tally.check()
    let sorted = UnsafeBufferPointer(start: state.lateness, count: state.count).sorted()
    func milliseconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e6 }
    return [
      Figure(value: cpu * 1e3, unit: .milliseconds),
      Figure(part: ".early", value: max(0, milliseconds(-sorted[0])), unit: .milliseconds),
      Figure(part: ".late-p99", value: milliseconds(sorted[sorted.count * 99 / 100]), unit: .milliseconds),
      Figure(part: ".late-max", value: milliseconds(sorted[sorted.count - 1]), unit: .milliseconds),
      Figure(
        part: ".memory", value: (Double(peak) - Double(state.memory)) / Double(sorted.count), unit: .bytes),
    ]
  }
}
