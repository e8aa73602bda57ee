import Testing

@testable import UVLoop

/// In milliseconds: the schedule does not care about the unit.
@Suite(.alone) struct TickScheduleTests {
  /// Waits for each tick, or takes it at once if it is over; `busy` says until when the consumer works on a tick.
  private func run(_ missed: MissedTicks, ticks: Int, busy: [Int64: Int64]) -> [Delivery] {
    var schedule = TickSchedule(start: 0, period: 100, missed: missed)
    var now: Int64 = 0
    return (0..<ticks).map { _ in
      let tick = schedule.next(now: now)
      now = max(now, tick)
      defer { now = busy[tick] ?? now }
      return Delivery(tick, at: now)
    }
  }

  private struct Delivery: Equatable {
    let tick: Int64
    let at: Int64
    init(_ tick: Int64, at: Int64) { (self.tick, self.at) = (tick, at) }
  }

  private static let stall: [Int64: Int64] = [200: 550]
  private let before: [Delivery] = [.init(100, at: 100), .init(200, at: 200)]

  @Test func `E-15 burst delivers every missed tick at once`() {
    let after: [Delivery] = [.init(300, at: 550), .init(400, at: 550), .init(500, at: 550), .init(600, at: 600)]
    #expect(run(.burst, ticks: 6, busy: Self.stall) == before + after)
  }

  @Test func `E-15 delay delivers one missed tick at once and starts anew`() {
    let after: [Delivery] = [.init(300, at: 550), .init(650, at: 650), .init(750, at: 750)]
    #expect(run(.delay, ticks: 5, busy: Self.stall) == before + after)
  }

  @Test func `E-15 skip delivers one missed tick at once and stays on the schedule`() {
    let after: [Delivery] = [.init(300, at: 550), .init(600, at: 600), .init(700, at: 700)]
    #expect(run(.skip, ticks: 5, busy: Self.stall) == before + after)
  }

  @Test(arguments: [MissedTicks.burst, .delay, .skip])
  func `without a stall tick n is at start plus n periods`(missed: MissedTicks) {
    var schedule = TickSchedule(start: 1_000, period: 7, missed: missed)
    for n in Int64(1)...1_000 {
      let tick = 1_000 + n * 7
      #expect(schedule.next(now: tick - 7) == tick)
    }
  }

  @Test(arguments: [MissedTicks.burst, .delay, .skip])
  func `a tick asked for at its very instant is not overdue`(missed: MissedTicks) {
    var schedule = TickSchedule(start: 0, period: 100, missed: missed)
    #expect(schedule.next(now: 100) == 100)
    #expect(schedule.next(now: 100) == 200)
  }

  @Test(arguments: [MissedTicks.burst, .delay, .skip])
  func `lateness below a period does not add up`(missed: MissedTicks) {
    var schedule = TickSchedule(start: 0, period: 100, missed: missed)
    for n in Int64(1)...1_000 {
      #expect(schedule.next(now: (n - 1) * 100 + 40) == n * 100)
      schedule.delivered(at: n * 100 + 30)
    }
  }

  @Test(arguments: [(MissedTicks.burst, 200), (.delay, 450), (.skip, 400)] as [(MissedTicks, Int64)])
  func `a wait that ends periods late counts as a stall`(missed: MissedTicks, then: Int64) {
    var schedule = TickSchedule(start: 0, period: 100, missed: missed)
    #expect(schedule.next(now: 0) == 100)
    schedule.delivered(at: 350)
    #expect(schedule.next(now: 350) == then)
  }

  @Test func `skip passes over a tick whose instant is now`() {
    var schedule = TickSchedule(start: 0, period: 100, missed: .skip)
    #expect(schedule.next(now: 500) == 100)
    #expect(schedule.next(now: 500) == 600)
  }

  @Test func `skip stays on the schedule over a stall of a million periods`() {
    var schedule = TickSchedule(start: 3, period: 10, missed: .skip)
    #expect(schedule.next(now: 10_000_000) == 13)
    #expect(schedule.next(now: 10_000_000) == 10_000_003)
  }

  @Test func `delay moves the schedule for good`() {
    var schedule = TickSchedule(start: 0, period: 100, missed: .delay)
    #expect(schedule.next(now: 150) == 100)
    #expect([schedule.next(now: 150), schedule.next(now: 250), schedule.next(now: 350)] == [250, 350, 450])
  }

  @Test(arguments: [MissedTicks.burst, .delay, .skip])
  func `instants saturate`(missed: MissedTicks) {
    var schedule = TickSchedule(start: 0, period: .max, missed: missed)
    #expect(schedule.next(now: 5) == .max)
    #expect(schedule.next(now: 5) == .max)
    #expect(schedule.next(now: .max) == .max)
  }

  @Test func `skip saturates over a stall longer than an Int64`() {
    var schedule = TickSchedule(start: .min, period: 1, missed: .skip)
    #expect(schedule.next(now: .max) == .min + 1)
    #expect(schedule.next(now: .max) == .max)
  }

  @Test func `a period that is not positive traps`() async {
    await #expect(processExitsWith: .failure) { _ = TickSchedule(start: 0, period: 0, missed: .skip) }
  }
}
