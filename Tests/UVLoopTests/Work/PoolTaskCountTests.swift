import Testing

@testable import UVLoop

/// When a loop sends one more pool task to the pool.
@Suite(.sideBySide) struct PoolTaskCountTests {
  /// A call has been queued, and so many wait; whether that sends a pool task.
  private func queue(_ queued: Int, in count: PoolTaskCount, poolSize: Int, finishing: Int = 0) -> Bool {
    count.mustSubmit(forWaiting: queued, poolSize: poolSize, finishing: finishing)
  }

  @Test func `calls that come before any pool task has begun get one each, and all of them one that follows`() {
    let count = PoolTaskCount()
    let sent = (1...7).map { count.mustSubmit(forWaiting: $0, poolSize: 4) }
    #expect(sent == [true, true, true, true, true, false, false])
  }

  @Test func `a call that a pool task on its way will take needs no other`() {
    let count = PoolTaskCount()
    _ = count.mustSubmit(forWaiting: 1, poolSize: 4)
    // That call was withdrawn, and this one came.
    #expect(!queue(1, in: count, poolSize: 4))
  }

  @Test func `a call behind pool tasks that are busy gets one of its own while the pool has room`() {
    let count = PoolTaskCount()
    for _ in 1...3 {
      #expect(queue(1, in: count, poolSize: 4))
      count.begin()
    }
    #expect(queue(1, in: count, poolSize: 4))
    #expect(count.pending == 1 && count.active == 3)
  }

  @Test func `with all workers busy one more is sent, and the next when one has come back`() {
    let count = PoolTaskCount()
    for _ in 1...2 {
      _ = queue(1, in: count, poolSize: 2)
      count.begin()
    }
    #expect(queue(1, in: count, poolSize: 2))
    #expect(!queue(5, in: count, poolSize: 2))
    count.end()
    count.begin()
    #expect(!queue(5, in: count, poolSize: 2))
    count.comeBack(hasBegun: true)
    #expect(queue(5, in: count, poolSize: 2))
    #expect(!queue(6, in: count, poolSize: 2))
  }

  @Test func `a pool task that comes back before the next has begun is followed by another`() {
    let count = PoolTaskCount()
    _ = queue(1, in: count, poolSize: 1)
    count.begin()
    #expect(queue(9, in: count, poolSize: 1))
    count.end()
    count.comeBack(hasBegun: true)
    #expect(queue(9, in: count, poolSize: 1))
    count.begin()
    // The one that runs can end after its budget though the loop has not been told that it began.
    #expect(count.active == 1 && count.pending == 1)
  }

  @Test func `one that was taken out of the pool's queue is no more`() {
    let count = PoolTaskCount()
    _ = queue(1, in: count, poolSize: 1)
    count.comeBack(hasBegun: false)
    #expect(count.pending == 0 && count.inFlight == 0)
    #expect(queue(1, in: count, poolSize: 1))
  }

  @Test func `pool tasks that have ended, and have not come back, hold up no call`() {
    let count = PoolTaskCount()
    for _ in 1...2 {
      #expect(queue(1, in: count, poolSize: 1))
      count.begin()
      count.end()
    }
    #expect(count.inFlight == 2)
    #expect(queue(1, in: count, poolSize: 1))
  }

  @Test func `a call that a spinning pool task will find needs no other, and the next one does`() {
    let count = PoolTaskCount()
    _ = queue(1, in: count, poolSize: 4)
    count.begin()
    count.spin()
    #expect(!queue(1, in: count, poolSize: 4))
    #expect(queue(2, in: count, poolSize: 4))
    count.endSpin(found: true)
    #expect(count.active == 1 && count.spinning == 0 && count.pending == 1)
  }

  @Test func `a pool task that has looked in vain is no more`() {
    let count = PoolTaskCount()
    _ = queue(1, in: count, poolSize: 1)
    count.begin()
    count.spin()
    count.endSpin(found: false)
    #expect(count.active == 0 && count.spinning == 0)
    #expect(queue(1, in: count, poolSize: 1))
  }

  @Test func `a call that comes while a pool task leaves another one needs no other`() {
    let count = PoolTaskCount()
    _ = queue(1, in: count, poolSize: 4)
    count.begin()
    #expect(!queue(1, in: count, poolSize: 4, finishing: 1))
    #expect(queue(2, in: count, poolSize: 4, finishing: 1))
  }

  @Test func `with all workers busy a pool task that looks needs none that follows for the call that it will find`() {
    let count = PoolTaskCount()
    for _ in 1...2 {
      _ = queue(1, in: count, poolSize: 2)
      count.begin()
    }
    count.spin()
    #expect(!queue(1, in: count, poolSize: 2))
    count.endSpin(found: true)
    #expect(queue(1, in: count, poolSize: 2))
  }

  @Test func `where no call waits none is sent`() {
    let count = PoolTaskCount()
    #expect(!queue(0, in: count, poolSize: 4))
    #expect(count.pending == 0)
  }
}
