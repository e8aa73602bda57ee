import Testing

@testable import UVLoop

/// When a loop sends one more runner to the pool.
@Suite struct RunnerCountTests {
  /// A call has been queued, and so many wait; whether that sends a runner.
  private func queue(_ queued: Int, in count: inout RunnerCount, poolSize: Int) -> Bool {
    count.mustSend(forWaiting: queued, poolSize: poolSize)
  }

  @Test func `calls that come before any runner has begun get one each, and one more never`() {
    var count = RunnerCount()
    let sent = (1...6).map { count.mustSend(forWaiting: $0, poolSize: 4) }
    #expect(sent == [true, true, true, true, false, false])
  }

  @Test func `a call that a runner on its way will take needs no other`() {
    var count = RunnerCount()
    _ = count.mustSend(forWaiting: 1, poolSize: 4)
    // That call was withdrawn, and this one came.
    #expect(!queue(1, in: &count, poolSize: 4))
  }

  @Test func `a call behind runners that are busy gets one of its own while the pool has room`() {
    var count = RunnerCount()
    for _ in 1...3 {
      #expect(queue(1, in: &count, poolSize: 4))
      count.begin()
    }
    #expect(queue(1, in: &count, poolSize: 4))
    #expect(count.pending == 1 && count.active == 3)
  }

  @Test func `with all workers busy one runner stands by, and no more`() {
    var count = RunnerCount()
    for _ in 1...2 {
      _ = count.mustSend(forWaiting: 1, poolSize: 2)
      count.begin()
    }
    #expect(queue(1, in: &count, poolSize: 2))
    #expect(!queue(2, in: &count, poolSize: 2))
    #expect(!queue(3, in: &count, poolSize: 2))
    count.begin()
    #expect(queue(3, in: &count, poolSize: 2))
  }

  @Test func `where no call waits none is sent`() {
    var count = RunnerCount()
    #expect(!queue(0, in: &count, poolSize: 4))
    #expect(count.pending == 0)
  }

  @Test func `a runner may leave calls behind only where another one will come`() {
    var count = RunnerCount()
    _ = count.mustSend(forWaiting: 1, poolSize: 1)
    count.begin()
    #expect(!count.mayEndBeforeOthers)
    _ = count.mustSend(forWaiting: 1, poolSize: 1)
    #expect(count.mayEndBeforeOthers)
    count.withdraw()
    #expect(!count.mayEndBeforeOthers)
    count.end()
    #expect(count.pending == 0 && count.active == 0)
  }
}
