import Testing

@testable import UVLoop

@Suite(.sideBySide) struct TimerQueueTests {
  /// Delivers one whole pass.
  private func pass<Payload>(_ queue: TimerQueue<Payload>, at now: Int64) -> [Payload] {
    queue.beginPass(at: now)
    var delivered: [Payload] = []
    while let payload = queue.popDue() { delivered.append(payload) }
    return delivered
  }

  // MARK: Order

  @Test func `an empty queue has no deadline and delivers nothing`() {
    let queue = TimerQueue<Int>()
    #expect(queue.count == 0 && queue.earliest == nil)
    #expect(pass(queue, at: .max) == [])
    #expect(queue.close() == [])
  }

  @Test func `entries are delivered by deadline`() {
    let queue = TimerQueue<Int64>()
    for deadline in [5, 3, 9, 1, 7] as [Int64] { _ = queue.insert(deadline, at: deadline) }
    #expect(pass(queue, at: 10) == [1, 3, 5, 7, 9])
  }

  @Test func `E-07 101 entries with equal deadlines are delivered in the order of submission`() {
    let queue = TimerQueue<Int>()
    for n in 0..<101 { _ = queue.insert(n, at: 42) }
    #expect(pass(queue, at: 42) == Array(0..<101))
  }

  @Test func `an entry is due at its deadline and not before`() {
    let queue = TimerQueue<Int>()
    _ = queue.insert(1, at: 100)
    #expect(pass(queue, at: 99) == [])
    #expect(pass(queue, at: 100) == [1])
  }

  @Test func `E-05 negative delays are ordered among themselves by deadline`() {
    let queue = TimerQueue<String>()
    #expect(pass(queue, at: 1_000) == [])
    _ = queue.insert("a", at: 1_000 - 10)
    _ = queue.insert("b", at: 1_000 - 20)
    #expect(pass(queue, at: 1_000) == ["b", "a"])
  }

  @Test func `the ends of Int64 are legal deadlines`() {
    let queue = TimerQueue<String>()
    _ = queue.insert("last", at: .max)
    _ = queue.insert("first", at: .min)
    #expect(queue.earliest == .min)
    #expect(pass(queue, at: .max - 1) == ["first"])
    #expect(queue.earliest == .max)
    #expect(pass(queue, at: .max) == ["last"])
  }

  // MARK: Tokens

  @Test func `a removed entry hands out its payload once and is never delivered`() {
    let queue = TimerQueue<Int>()
    let token = queue.insert(1, at: 1)
    #expect(queue.remove(token) == 1)
    #expect(queue.remove(token) == nil)
    #expect(queue.count == 0 && queue.earliest == nil)
    #expect(pass(queue, at: .max) == [])
  }

  @Test func `the token of a delivered entry is stale`() {
    let queue = TimerQueue<Int>()
    let token = queue.insert(1, at: 1)
    #expect(pass(queue, at: 1) == [1])
    #expect(queue.remove(token) == nil)
    #expect(queue.move(token, to: 5) == false)
    #expect(!queue.contains(token))
  }

  @Test func `a stale token does not touch the entry that has its slot now`() {
    let queue = TimerQueue<Int>()
    let stale = queue.insert(1, at: 1)
    _ = queue.remove(stale)
    let fresh = queue.insert(2, at: 2)
    #expect(stale != fresh)
    #expect(queue.remove(stale) == nil)
    #expect(queue.move(stale, to: 9) == false)
    #expect(!queue.contains(stale))
    #expect(queue.deadline(of: 2) == 2)
    #expect(queue.remove(fresh) == 2)
  }

  @Test func `a token of a longer queue is stale in a shorter one`() {
    let long = TimerQueue<Int>()
    let short = TimerQueue<Int>()
    #expect(!short.contains(long.insert(1, at: 1)))
  }

  @Test func `E-10 a moved entry is delivered once, at its new deadline`() {
    let queue = TimerQueue<Int>()
    let later = queue.insert(1, at: 10)
    let earlier = queue.insert(2, at: 20)
    #expect(queue.move(later, to: 30) == true)
    #expect(queue.move(earlier, to: 5) == true)
    #expect(queue.deadline(of: 1) == 30)
    #expect(queue.deadline(of: 2) == 5)
    #expect(pass(queue, at: 5) == [2])
    #expect(pass(queue, at: 29) == [])
    #expect(pass(queue, at: 30) == [1])
  }

  @Test func `a moved entry comes last among equal deadlines`() {
    let queue = TimerQueue<Int>()
    let first = queue.insert(1, at: 10)
    _ = queue.insert(2, at: 10)
    #expect(queue.move(first, to: 10) == true)
    #expect(pass(queue, at: 10) == [2, 1])
  }

  @Test func `insert and move take one sequence number each, remove takes none`() {
    let queue = TimerQueue<Int>()
    #expect(queue.nextSequence == 0)
    let token = queue.insert(1, at: 1)
    #expect(queue.nextSequence == 1)
    _ = queue.move(token, to: 2)
    #expect(queue.nextSequence == 2)
    _ = queue.remove(token)
    _ = queue.move(token, to: 3)
    #expect(queue.nextSequence == 2)
  }

  // MARK: Passes

  @Test func `E-06 a zero delay that re-arms itself is delivered once a pass`() {
    let queue = TimerQueue<Int>()
    _ = queue.insert(0, at: 100)
    for round in 0..<1_000 {
      queue.beginPass(at: 100)
      #expect(queue.popDue() == round)
      _ = queue.insert(round + 1, at: 100)
      #expect(queue.popDue() == nil)
    }
    #expect(queue.count == 1)
  }

  @Test func `an entry inserted during a pass hides none that is due, however early its deadline`() {
    let queue = TimerQueue<String>()
    for name in ["a", "b", "c"] { _ = queue.insert(name, at: 10) }
    queue.beginPass(at: 20)
    #expect(queue.popDue() == "a")
    _ = queue.insert("early", at: 1)
    #expect(queue.deadline(of: "early") == 1)
    #expect(queue.earliest == 1)
    #expect(queue.popDue() == "b")
    #expect(queue.popDue() == "c")
    #expect(queue.popDue() == nil)
    #expect(pass(queue, at: 20) == ["early"])
  }

  @Test func `E-11 an entry removed earlier in the same pass is not delivered`() {
    let queue = TimerQueue<String>()
    _ = queue.insert("a", at: 10)
    let b = queue.insert("b", at: 10)
    _ = queue.insert("c", at: 10)
    queue.beginPass(at: 10)
    #expect(queue.popDue() == "a")
    #expect(queue.deadline(of: "b") == 10)
    #expect(queue.remove(b) == "b")
    #expect(queue.count == 1)
    #expect(queue.popDue() == "c")
    #expect(queue.popDue() == nil)
  }

  @Test func `an entry moved earlier in the same pass waits for a later one`() {
    let queue = TimerQueue<String>()
    _ = queue.insert("a", at: 10)
    let b = queue.insert("b", at: 11)
    queue.beginPass(at: 20)
    #expect(queue.popDue() == "a")
    #expect(queue.move(b, to: 5) == true)
    #expect(queue.deadline(of: "b") == 5)
    #expect(queue.popDue() == nil)
    #expect(pass(queue, at: 20) == ["b"])
  }

  @Test func `a slot freed and taken again during a pass is not delivered in it`() {
    let queue = TimerQueue<String>()
    _ = queue.insert("a", at: 10)
    let b = queue.insert("b", at: 10)
    _ = queue.insert("c", at: 10)
    queue.beginPass(at: 10)
    #expect(queue.popDue() == "a")
    _ = queue.remove(b)
    _ = queue.insert("d", at: 10)
    _ = queue.insert("e", at: 10)
    #expect(queue.popDue() == "c")
    #expect(queue.popDue() == nil)
    #expect(pass(queue, at: 10) == ["d", "e"])
  }

  @Test func `a pass that stops early keeps its line, counted and first in the next pass`() {
    let queue = TimerQueue<String>()
    for name in ["a", "b", "c"] { _ = queue.insert(name, at: 10) }
    _ = queue.insert("later", at: 30)
    queue.beginPass(at: 10)
    #expect(queue.popDue() == "a")
    #expect(queue.count == 3)
    #expect(queue.earliest == 10)
    #expect(pass(queue, at: 30) == ["b", "c", "later"])
    #expect(queue.count == 0)
  }

  // MARK: Payloads

  private final class Witness {}

  @Test func `removal releases the payload at once`() {
    let queue = TimerQueue<Witness>()
    weak var witness: Witness?
    let token: TimerToken = {
      let payload = Witness()
      witness = payload
      return queue.insert(payload, at: 1)
    }()
    #expect(witness != nil)
    _ = queue.remove(token)
    #expect(witness == nil)
  }

  @Test func `removal from the line of a pass releases the payload at once`() {
    let queue = TimerQueue<Witness>()
    weak var witness: Witness?
    _ = queue.insert(Witness(), at: 1)
    let token: TimerToken = {
      let payload = Witness()
      witness = payload
      return queue.insert(payload, at: 1)
    }()
    queue.beginPass(at: 1)
    _ = queue.popDue()
    #expect(witness != nil)
    _ = queue.remove(token)
    #expect(witness == nil)
  }

  @Test func `delivery releases the payload at once`() {
    let queue = TimerQueue<Witness>()
    weak var witness: Witness?
    _ = {
      let payload = Witness()
      witness = payload
      return queue.insert(payload, at: 1)
    }()
    queue.beginPass(at: 1)
    _ = queue.popDue()
    #expect(witness == nil)
  }

  @Test func `E-11 removing 10 000 entries leaves the queue empty at once`() {
    let queue = TimerQueue<Int>()
    let tokens = (0..<10_000).map { queue.insert($0, at: Int64($0 * 7919 % 10_000)) }
    for (n, token) in tokens.enumerated() { #expect(queue.remove(token) == n) }
    #expect(queue.count == 0 && queue.earliest == nil)
  }

  @Test func `close hands out everything by deadline, makes all tokens stale, and tells those that waited`() {
    let queue = TimerQueue<Int64>()
    let tokens = ([4, 2, 2, 9, 1, 3] as [Int64]).map { queue.insert($0, at: $0) }
    queue.beginPass(at: 3)
    _ = queue.popDue()
    #expect(tokens.map { queue.wasHandedOut($0) } == [false, false, false, false, false, false])
    #expect(queue.close() == [2, 2, 3, 4, 9])
    #expect(queue.count == 0 && queue.earliest == nil)
    for token in tokens { #expect(queue.remove(token) == nil && !queue.contains(token)) }
    #expect(tokens.map { queue.wasHandedOut($0) } == [true, true, true, true, false, true])
  }
}

extension TimerQueue where Payload: Equatable {
  /// That of the entry with this payload; nil if none waits.
  func deadline(of wanted: Payload) -> Int64? {
    var found: Int64?
    forEachPending { payload, deadline, _ in
      if payload == wanted { found = deadline }
    }
    return found
  }
}
