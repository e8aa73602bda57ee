import CLibUV
import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite(.alone) struct PostStressTests {
  @Test func `B-05 of posts that race with shutdown the accepted ones run once and the others throw loopClosed`()
    async throws
  {
    for round in 1...10 {
      let loop = try EventLoop(.init(name: "round \(round)"))
      let runs = Runs()
      let begun = Event("a hundred posts of each thread")
      let posters = (0..<8).map { _ in Poster(loop, runs, begun) }
      try await begun.wait(times: 8)
      await loop.shutdown()
      // What was accepted has run by now: counted before the last thread is refused.
      let total = runs.total
      for poster in posters { try await poster.thread.join() }

      let tallies = posters.map(\.tally.value)
      #expect(tallies.allSatisfy { $0.accepted >= 100 && $0.refused == 100 && $0.strange == 0 })
      #expect(total == tallies.map(\.accepted).reduce(0, +))
      #expect(runs.total == total)
      #expect(runs.twice == 0)
      await expectThreadGone(loop.thread)
    }
  }

  #if os(Linux)
    @Test(arguments: [1, 2])
    func `B-06 no wake is lost: 100 000 posts to a loop that keeps falling asleep all run in time`(
      _ processors: Int
    ) async throws {
      await #expect(processExitsWith: .success) { [processors] in
        // Threads inherit it: those of the loop and of the producers are made here, before anything is awaited.
        try Affinity.restrict(to: processors)
        let loop = try EventLoop()
        let late = Lateness(expected: 100_000)
        let machine = Heartbeat()
        for seed in 1...4 { PlainThread { Producer(seed).post(25_000, to: loop, late) } }
        try await late.allRan.wait(within: .seconds(240))
        let answer = late.answer
        #expect(answer.count == 100_000)
        // A stall that a thread without any loop felt too is the machine's. A lost wake stalls nobody else.
        let stall = try await machine.stop()
        #expect(answer.worst - stall < 10_000_000_000, "\(answer.worst) ns, and \(stall) ns elsewhere")
        // It did fall asleep in between, again and again. Where threads got too little CPU for that it does now.
        while loop.probe.wakes <= 100 { await loop.run { _ in } }
        await loop.shutdown()
      }
    }
  #endif
}

/// How often each post has run.
private final class Runs: Sendable {
  private let counts = Shared<[Int: Int]>([:])

  func note(_ id: Int) { counts.update { $0[id, default: 0] += 1 } }

  var total: Int { counts.value.values.reduce(0, +) }

  var twice: Int { counts.value.values.count { $0 > 1 } }
}

/// A thread that posts until it is refused, and then a hundred times more.
private final class Poster {
  struct Tally {
    var accepted = 0
    var refused = 0
    var strange = 0
  }

  let tally: Shared<Tally>
  let thread: PlainThread
  private static let lastID = Counter()

  init(_ loop: EventLoop, _ runs: Runs, _ begun: Event) {
    let tally = Shared(Tally())
    self.tally = tally
    thread = PlainThread {
      var own = Tally()
      while own.refused + own.strange < 100 {
        let id = Poster.lastID.add()
        do throws(UVError) {
          try loop.post { runs.note(id) }
          own.accepted += 1
          if own.accepted == 100 { begun.signal() }
          if own.accepted % 8 == 0 { Posix.yield() }
        } catch {
          if error.code == .loopClosed { own.refused += 1 } else { own.strange += 1 }
        }
      }
      tally.value = own
    }
  }
}

#if os(Linux)
  /// How late posts were.
  private final class Lateness: Sendable {
    let allRan = Event("every post")
    private let expected: Int
    private let state = Shared<(count: Int, worst: Int64)>((0, 0))

    init(expected: Int) { self.expected = expected }

    var answer: (count: Int, worst: Int64) { state.value }

    func note(_ nanoseconds: Int64) {
      let isLast = state.update { state in
        state = (state.count + 1, max(state.worst, nanoseconds))
        return state.count == expected
      }
      if isLast { allRan.signal() }
    }
  }

  /// A thread that only measures how late the machine lets it wake.
  private final class Heartbeat {
    private let mayStop = Event("the end of the measurement")
    private let worst = Shared<Int64>(0)
    private let thread: PlainThread

    init() {
      let mayStop = mayStop
      let worst = worst
      thread = PlainThread {
        var last = MonotonicClock.now()
        while !mayStop.hasHappened {
          usleep(10_000)
          let now = MonotonicClock.now()
          worst.value = max(worst.value, now - last)
          last = now
        }
      }
    }

    /// The longest pause between two beats, in nanoseconds.
    func stop() async throws -> Int64 {
      mayStop.signal()
      try await thread.join()
      return worst.value
    }
  }

  private struct Producer {
    private var random: UInt64

    init(_ seed: Int) { random = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 }

    /// Now and then it pauses for long enough that the loop, which has nothing else to do, falls asleep, and mostly so
    /// shortly that the next post comes while it does.
    func post(_ count: Int, to loop: EventLoop, _ late: Lateness) {
      var random = random
      for _ in 0..<count {
        let start = MonotonicClock.now()
        do { try loop.post { late.note(MonotonicClock.now() - start) } } catch { fatalError("\(error)") }
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        if random % 8 == 0 {
          usleep(UInt32((random >> 8) % 200))
        } else {
          let end = MonotonicClock.now() + Int64((random >> 8) % 2_000)
          while MonotonicClock.now() < end {}
        }
      }
    }
  }

  /// `sched_setaffinity` hides behind _GNU_SOURCE.
  private enum Affinity {
    static func restrict(to processors: Int) throws {
      typealias Function = @convention(c) (pid_t, Int, UnsafeMutableRawPointer) -> Int32
      var allowed = [UInt64](repeating: 0, count: 16)
      let get = unsafe unsafeBitCast(dlsym(nil, "sched_getaffinity"), to: Function.self)
      try #require(unsafe get(0, 128, &allowed) == 0)
      var mask = [UInt64](repeating: 0, count: 16)
      var chosen = 0
      for bit in 0..<1_024 where chosen < processors && allowed[bit / 64] >> UInt64(bit % 64) & 1 == 1 {
        mask[bit / 64] |= 1 << UInt64(bit % 64)
        chosen += 1
      }
      let set = unsafe unsafeBitCast(dlsym(nil, "sched_setaffinity"), to: Function.self)
      try #require(unsafe set(0, 128, &mask) == 0)
    }
  }
#endif
