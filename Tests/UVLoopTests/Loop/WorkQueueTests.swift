import Testing

@testable import UVLoop

@Suite(.sideBySide) struct WorkQueueTests {
  /// Runs everything and forgets it.
  private static func runAll(_ queue: WorkQueue) {
    while let work = queue.popFirst() {
      if case .call(let body) = work { body() }
    }
  }

  private static func append(_ numbers: Range<Int>, to queue: WorkQueue, _ log: Shared<[Int]>) {
    for number in numbers { queue.append(.call { log.update { $0.append(number) } }) }
  }

  @Test func `a new queue is empty and gives nothing`() {
    let queue = WorkQueue()
    let (isEmpty, count) = (queue.isEmpty, queue.count)
    #expect(isEmpty && count == 0)
    var isNothing = false
    if case .none = queue.popFirst() { isNothing = true }
    #expect(isNothing)
  }

  @Test(arguments: [1, 2, 255, 256, 257, 10_000])
  func `work comes out first in, first out, however much it is`(count: Int) {
    let queue = WorkQueue(capacity: 2)
    let log = Shared<[Int]>([])
    Self.append(0..<count, to: queue, log)
    let held = queue.count
    #expect(held == count)
    Self.runAll(queue)
    #expect(log.value == Array(0..<count))
    let left = queue.count
    #expect(left == 0)
  }

  @Test func `work that is added while work is taken keeps its place`() {
    let queue = WorkQueue(capacity: 4)
    let log = Shared<[Int]>([])
    var next = 0
    for step in 0..<1_000 {
      Self.append(next..<next + step % 4, to: queue, log)
      next += step % 4
      if case .call(let body) = queue.popFirst() { body() }
    }
    Self.runAll(queue)
    #expect(log.value == Array(0..<next))
  }

  @Test(arguments: [0, 1, 3, 300], [0, 1, 3, 300])
  func `takeAll puts the other queue's work behind this one's and empties the other`(here: Int, there: Int) {
    let queue = WorkQueue(capacity: 4)
    let other = WorkQueue(capacity: 4)
    let log = Shared<[Int]>([])
    Self.append(0..<here, to: queue, log)
    Self.append(here..<here + there, to: other, log)
    queue.takeAll(of: other)
    let (left, count) = (other.count, queue.count)
    #expect(left == 0 && count == here + there)
    Self.append(here + there..<here + there + 5, to: queue, log)
    Self.runAll(queue)
    #expect(log.value == Array(0..<here + there + 5))
  }

  @Test func `work that was run is released before the next is taken`() {
    let queue = WorkQueue()
    let gone = Counter()
    for _ in 0..<3 {
      let witness = Witness(gone)
      queue.append(.call { witness.hold() })
    }
    for number in 0..<3 {
      #expect(gone.value == number)
      if case .call(let body) = queue.popFirst() { body() }
      #expect(gone.value == number + 1)
    }
  }

  @Test func `a queue that goes away releases what is left in it`() {
    let gone = Counter()
    do {
      let queue = WorkQueue(capacity: 2)
      for _ in 0..<10 {
        let witness = Witness(gone)
        queue.append(.call { witness.hold() })
      }
      _ = queue.popFirst()
      #expect(gone.value == 1)
    }
    #expect(gone.value == 10)
  }

  @Test func `a queue that was very long gives its memory back by and by`() {
    let queue = WorkQueue()
    let log = Counter()
    for _ in 0..<2 {
      for _ in 0..<200_000 { queue.append(.call { log.add() }) }
      Self.runAll(queue)
    }
    #expect(log.value == 400_000)
    #expect(queue.isEmpty)
    // A burst may be followed by another one.
    #expect(queue.capacity == 262_144)
    for _ in 0..<2 {
      queue.append(.call { log.add() })
      Self.runAll(queue)
    }
    #expect(queue.capacity == 65_536)
    #expect(log.value == 400_002)
  }
}
