import CPeers

/// Counts for each callback how often it ran: a figure counts only where each ran exactly once.
///
/// A pointer, as ``Tally`` is.
struct Seen: @unchecked Sendable {  // Holds because each entry is written by one callback, and read after all.
  private let counts: UnsafeMutablePointer<UInt8>
  private let size: Int

  init(_ size: Int) {
    self.size = size
    counts = .allocate(capacity: size)
    // Touched here, so that its memory is not counted as the workload's.
    counts.initialize(repeating: 0, count: size)
  }

  @inline(__always)
  func mark(_ id: Int) { counts[id] &+= 1 }

  func check() throws {
    let wrong = (0..<size).count { counts[$0] != 1 }
    if wrong > 0 { throw Wrong(description: "\(wrong) of \(size) callbacks did not run exactly once") }
  }
}

/// The same for callbacks that all run on one thread, and tells when the last one has run.
///
/// A pointer, so that a closure which captures it is made as one is in C: counting references to it on two CPUs at once
/// would cost more than the post that is measured. It is never freed: a process measures once.
struct Tally: @unchecked Sendable {  // Holds because one thread at a time marks, and the semaphore orders the end.
  private struct State {
    let seen: Seen
    let done = Semaphore()
    let ends: AsyncStream<Never>
    let end: AsyncStream<Never>.Continuation
    var left: Int
  }

  private let state: UnsafeMutablePointer<State>

  init(_ size: Int) {
    let (ends, end) = AsyncStream<Never>.makeStream()
    state = .allocate(capacity: 1)
    state.initialize(to: State(seen: Seen(size), ends: ends, end: end, left: size))
  }

  @inline(__always)
  func mark(_ id: Int) {
    state.pointee.seen.mark(id)
    state.pointee.left -= 1
    if state.pointee.left == 0 { finish() }
  }

  @inline(never)
  private func finish() {
    state.pointee.done.signal()
    state.pointee.end.finish()
  }

  func waitBlocking() { state.pointee.done.wait() }

  func wait() async { for await _ in state.pointee.ends {} }

  func check() throws { try state.pointee.seen.check() }
}

/// Wall time and CPU time of the process.
struct Stopwatch {
  private let wall = peer_now()
  private let cpu = peer_cpu()

  var seconds: Double { Double(peer_now() - wall) / 1e9 }
  var cpuSeconds: Double { Double(peer_cpu() - cpu) / 1e9 }

  /// Operations per second, and the CPU time of one.
  func throughput(_ count: Int) -> [Figure] {
    let seconds = seconds, cpuSeconds = cpuSeconds
    return .throughput(count, seconds: seconds, cpuSeconds: cpuSeconds)
  }
}

extension Figure {
  static func requireNone(_ wrong: Int, of count: Int) throws {
    if wrong > 0 { throw Wrong(description: "\(wrong) of \(count) callbacks did not run exactly once") }
  }
}

extension [Figure] {
  static func throughput(_ count: Int, seconds: Double, cpuSeconds: Double) -> Self {
    [
      Figure(value: Double(count) / seconds, unit: .operationsPerSecond),
      Figure(part: ".cpu", value: cpuSeconds * 1e9 / Double(count), unit: .nanoseconds),
    ]
  }

  /// What C measured.
  static func throughput(_ count: Int, _ result: peer_result) throws -> Self {
    try Figure.requireNone(result.wrong, of: count)
    return throughput(count, seconds: result.seconds, cpuSeconds: result.cpu_seconds)
  }

  /// Median and ninety-ninth percentile.
  static func latencies(_ nanoseconds: [UInt64]) -> Self {
    let sorted = nanoseconds.sorted()
    return [
      Figure(value: Double(sorted[sorted.count / 2]) / 1_000, unit: .microseconds),
      Figure(part: ".p99", value: Double(sorted[sorted.count * 99 / 100]) / 1_000, unit: .microseconds),
    ]
  }

  /// What C measured, one entry for each operation.
  static func latencies(_ count: Int, _ measure: (Int, UnsafeMutablePointer<UInt64>) -> Int) throws -> Self {
    let times = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: count)
    defer { times.deallocate() }
    times.initialize(repeating: 0)
    guard let first = times.baseAddress else { return [] }
    try Figure.requireNone(measure(count, first), of: count)
    return latencies(times.map(\.self))
  }
}

/// What all peers block on.
final class Semaphore: @unchecked Sendable {  // Holds because it is the system's.
  private let semaphore = peer_semaphore_create()
  deinit { peer_semaphore_destroy(semaphore) }

  @inline(__always)
  func signal() { peer_semaphore_signal(semaphore) }

  @inline(__always)
  func wait() { peer_semaphore_wait(semaphore) }
}

/// A thread of the system that no executor knows.
struct PlainThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let thread: OpaquePointer

  init(_ run: @escaping @Sendable () -> Void) {
    thread = peer_thread_start(
      { context in
        if let context { Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run() }
      }, Unmanaged.passRetained(Body(run)).toOpaque())
  }

  func join() { peer_thread_join(thread) }

  /// Starts threads at once, so that none has a head start.
  static func together(_ count: Int, _ run: @escaping @Sendable (_ index: Int) -> Void) -> (
    threads: [PlainThread], start: () -> Void
  ) {
    let gate = Semaphore()
    let threads = (0..<count).map { index in
      PlainThread {
        gate.wait()
        run(index)
      }
    }
    return (threads, { for _ in 0..<count { gate.signal() } })
  }
}

/// The same numbers for every peer.
struct Random: RandomNumberGenerator {
  private var state: UInt64 = 42

  mutating func next() -> UInt64 { peer_random(&state) }

  @inline(__always)
  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}
