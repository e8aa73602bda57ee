import Testing

@testable import UVLoop

/// When a loop sends one more runner to the pool.
@Suite(.sideBySide) struct RunnerCountTests {
  /// A call has been queued, and so many wait; whether that sends a runner.
  private func queue(_ queued: Int, in count: inout RunnerCount, poolSize: Int, finishing: Int = 0) -> Bool {
    count.mustSend(forWaiting: queued, poolSize: poolSize, finishing: finishing)
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

  @Test func `with all workers busy one more is sent as a relief, and only where it is asked for`() {
    var count = RunnerCount()
    for _ in 1...2 {
      _ = queue(1, in: &count, poolSize: 2)
      count.begin()
    }
    #expect(!queue(5, in: &count, poolSize: 2))
    #expect(!mayEnd(&count))
    #expect(count.wantsRelief)
    #expect(queue(5, in: &count, poolSize: 2))
    #expect(!count.wantsRelief)
    #expect(!queue(6, in: &count, poolSize: 2))
    #expect(mayEnd(&count))
  }

  /// A runner has had its share, and calls wait.
  private func mayEnd(_ count: inout RunnerCount) -> Bool { count.mayEndBeforeOthers() }

  @Test func `a relief that begins after its predecessor was given back can ask for its own`() {
    var count = RunnerCount()
    _ = queue(1, in: &count, poolSize: 1)
    count.begin()
    _ = mayEnd(&count)
    #expect(queue(9, in: &count, poolSize: 1))
    count.end()
    // The first one is given back before its relief has begun: nobody is sent.
    #expect(!queue(9, in: &count, poolSize: 1))
    count.begin()
    #expect(!mayEnd(&count))
    #expect(queue(9, in: &count, poolSize: 1))
    #expect(mayEnd(&count))
  }

  @Test func `a relief that was asked for when no call waited any more comes with the next call`() {
    var count = RunnerCount()
    _ = queue(1, in: &count, poolSize: 1)
    count.begin()
    #expect(!mayEnd(&count))
    #expect(!queue(0, in: &count, poolSize: 1))
    #expect(queue(1, in: &count, poolSize: 1))
    #expect(mayEnd(&count))
    count.withdraw()
    #expect(!mayEnd(&count))
    count.end()
    #expect(count.pending == 0 && count.active == 0)
  }

  @Test func `a call that a looking runner will find needs no other, and the next one does`() {
    var count = RunnerCount()
    _ = queue(1, in: &count, poolSize: 4)
    count.begin()
    count.look()
    #expect(!queue(1, in: &count, poolSize: 4))
    #expect(queue(2, in: &count, poolSize: 4))
    count.endLook(found: true)
    #expect(count.active == 1 && count.looking == 0 && count.pending == 1)
  }

  @Test func `a runner that has looked in vain is no more`() {
    var count = RunnerCount()
    _ = queue(1, in: &count, poolSize: 1)
    count.begin()
    count.look()
    count.endLook(found: false)
    #expect(count.active == 0 && count.looking == 0)
    #expect(queue(1, in: &count, poolSize: 1))
  }

  @Test func `a call that comes while a runner leaves another one needs no other`() {
    var count = RunnerCount()
    _ = queue(1, in: &count, poolSize: 4)
    count.begin()
    #expect(!queue(1, in: &count, poolSize: 4, finishing: 1))
    #expect(queue(2, in: &count, poolSize: 4, finishing: 1))
  }

  @Test func `no relief is sent while a runner looks`() {
    var count = RunnerCount()
    for _ in 1...2 {
      _ = queue(1, in: &count, poolSize: 2)
      count.begin()
    }
    count.look()
    #expect(!mayEnd(&count))
    #expect(!queue(1, in: &count, poolSize: 2))
    count.endLook(found: true)
    #expect(queue(1, in: &count, poolSize: 2))
  }

  @Test func `where no call waits none is sent`() {
    var count = RunnerCount()
    #expect(!queue(0, in: &count, poolSize: 4))
    #expect(count.pending == 0)
  }
}
