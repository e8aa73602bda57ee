// Every pending deadline of a loop, in one heap of ours behind one timer of libuv's.
//
// Why not a `uv_timer_t` each: it is cut to milliseconds, fires early by up to one, and costs four times as much. The
// file is long because heap, line and slots are one idea: each move in one of them is written down in another.
//
// An entry is in one of three states:
//   pending   in the heap, ordered by deadline and, among equal deadlines, by order of submission
//   taken     due when the current pass began, and in line for delivery; it can still be removed or moved
//   gone      delivered, removed or never there: its token is stale, its slot is free for the next entry
//
// A pass takes everything that is due out of the heap at once, and then delivers it. That is what keeps it both
// complete and finite: an entry that is inserted or moved by one of the payloads delivered goes to the heap, where it
// waits for the next pass, and however early its deadline is it cannot stand in front of those in line. So a zero delay
// that re-arms itself never holds the loop, and deadlines are kept as they were given, which orders late ones among
// themselves too.
//
// The heap is 4-ary: half as deep as a binary one, and four children are one cache line. A node is 16 bytes and moves
// without touching a reference count, since the payloads stay in their slots. What makes it so small is a sequence of
// 32 bits: when that is used up all entries are numbered anew.
//
// Slots and nodes lie in blocks of plain memory, and the queue is a class: arrays ask at each write whether they are
// shared, and a structure in a property of a class is looked after at run time while a method changes it. Together that
// was half the cost of making and cancelling a timer.
//
// After a burst memory is given back by halves. Nodes are dense and slots are not: an entry keeps its slot, since its
// token names it. So entries get slots of the first quarter as long as there are any, and when nothing waits in those
// above it any more the upper half goes, with the half of all other blocks. An entry that was made at the height of a
// burst and waits for long keeps all of it until then. Both ways it takes a quarter of the capacity in entries to get
// there, so that a queue that swings does not pay for it.

/// A priority queue of deadlines whose entries can be removed and moved by token, in O(log n).
///
/// A payload is released by whoever gets it: the queue holds none back. It must not be inserted into from a payload's
/// `deinit` that runs inside one of its own calls; none does, since each call hands the payloads out.
@safe final class TimerQueue<Payload> {
  /// Room for one node and one slot an entry. Nodes are initialised below `heapCount`, slots below `slotCount`, and the
  /// payload of a slot while it is claimed.
  private(set) var capacity = 0
  private var heap: UnsafeMutablePointer<Node>
  private var heapCount = 0
  /// Apart from the payloads, so that a sift touches 8 bytes an entry.
  private var slots: UnsafeMutablePointer<Slot>
  private var payloads: UnsafeMutablePointer<Payload>
  private var slotCount = 0
  /// Free ones below `firstHighSlot`.
  private var freeSlot = Position.none
  /// Free ones from there on, which are claimed when there are no others.
  private var freeHighSlot = Position.none
  /// Where a quarter of the capacity ends; past all slots in a queue that has nothing to give back.
  private var firstHighSlot = UInt32.max
  /// How many slots from there on are in use.
  private var highCount = 0
  /// Where the generations of a new slot begin: above all tokens of slots that were given back.
  private var firstGeneration: UInt32
  /// What is kept for good. A burst rarely comes alone, and 64 Ki calls of a loop are 3.5 MiB.
  private var keptCapacity: Int
  /// The entries in line for delivery. Those before `nextInLine` are done; that one, if there is one, is still wanted.
  private var line: UnsafeMutablePointer<Node>
  private var lineCount = 0
  private(set) var lineCapacity = 0
  private var nextInLine = 0
  private var isClosed = false

  /// How many entries are pending or in line.
  private(set) var count = 0
  /// The number that the next entry gets, inserted or moved.
  private(set) var nextSequence: UInt32

  /// - Parameter keptCapacity: 64, doubled any number of times.
  init(firstSequence: UInt32 = 0, firstGeneration: UInt32 = 0, keptCapacity: Int = 65_536) {
    nextSequence = firstSequence
    self.firstGeneration = firstGeneration
    self.keptCapacity = keptCapacity
    unsafe heap = GrowingBlock.make(capacity: 0)
    unsafe slots = GrowingBlock.make(capacity: 0)
    unsafe payloads = GrowingBlock.make(capacity: 0)
    unsafe line = GrowingBlock.make(capacity: 0)
  }

  deinit {
    if !isClosed { _ = close() }
    unsafe GrowingBlock.free(heap)
    unsafe GrowingBlock.free(slots)
    unsafe GrowingBlock.free(payloads)
    unsafe GrowingBlock.free(line)
  }

  /// The earliest deadline, also of an entry that an unfinished pass left in line; `nil` if the queue is empty.
  var earliest: Int64? {
    let pending = heapCount > 0 ? unsafe heap[0].deadline : nil
    guard nextInLine < lineCount else { return pending }
    return min(pending ?? .max, unsafe line[nextInLine].deadline)
  }

  /// Adds an entry. Any deadline is legal: a past one is due in the next pass, `Int64.max` practically never. O(log n).
  func insert(_ payload: consuming Payload, at deadline: Int64) -> TimerToken {
    precondition(!isClosed, "a closed TimerQueue takes nothing")
    let slot = claimSlot(for: payload)
    count += 1
    push(makeNode(slot: slot, deadline: deadline))
    return TimerToken(slot: slot, generation: unsafe slots[Int(slot)].generation)
  }

  /// Takes an entry out, also one in line for delivery, and hands out its payload; `nil` for a stale token. O(log n).
  func remove(_ token: TimerToken) -> Payload? {
    guard isCurrent(token) else { return nil }
    withdraw(token.slot)
    return releaseSlot(token.slot)
  }

  /// Gives an entry another deadline and, as if it were new, the last place among equals; `false` if stale. O(log n).
  ///
  /// One in line for delivery leaves the line: it is delivered at its new deadline, in a later pass.
  func move(_ token: TimerToken, to deadline: Int64) -> Bool {
    guard isCurrent(token) else { return false }
    let node = makeNode(slot: token.slot, deadline: deadline)
    let position = unsafe slots[Int(token.slot)].position
    if position < Position.inLine {
      place(node, at: Int(position))
    } else {
      withdraw(token.slot)
      push(node)
    }
    return true
  }

  /// Begins a pass: puts what is due at `now` in line, behind what a pass that stopped early has left there.
  ///
  /// - Complexity: O(m log n) for the m of n entries that are due.
  func beginPass(at now: Int64) {
    if nextInLine == lineCount {
      lineCount = 0
      nextInLine = 0
    }
    while heapCount > 0 {
      let first = unsafe heap[0]
      guard first.deadline <= now else { break }
      removeNode(at: 0)
      if lineCount == lineCapacity { growLine() }
      unsafe slots[Int(first.slot)].position = Position.inLine + UInt32(lineCount)
      unsafe (line + lineCount).initialize(to: first)
      lineCount += 1
    }
  }

  /// Delivers the next entry of a pass, by deadline and then by submission, or `nil` at the pass's end. O(1).
  ///
  /// A pass delivers what was due and present at its start, and nothing else. It may stop early: what it left in line
  /// is counted, can be removed, and comes first in the next pass.
  func popDue() -> Payload? {
    guard nextInLine < lineCount else { return nil }
    let slot = unsafe line[nextInLine].slot
    let payload = releaseSlot(slot)
    skipUnwanted()
    return payload
  }

  /// The deadline of what ``popDue()`` delivers next; nil at the pass's end.
  var nextInPass: Int64? { nextInLine < lineCount ? unsafe line[nextInLine].deadline : nil }

  /// Ends a pass that has delivered everything, and gives back memory that is needed no more.
  @inline(__always)
  func endPass() {
    if highCount == 0 && capacity > keptCapacity { giveBack() }
  }

  /// Shows all entries in no order: theirs is by deadline, and then by sequence. O(n).
  func forEachPending(_ body: (borrowing Payload, _ deadline: Int64, _ sequence: UInt32) -> Void) {
    for index in 0..<heapCount {
      unsafe body(payloads[Int(heap[index].slot)], heap[index].deadline, heap[index].sequence)
    }
    for index in nextInLine..<lineCount where isWanted(index) {
      unsafe body(payloads[Int(line[index].slot)], line[index].deadline, line[index].sequence)
    }
  }

  private var nodes: ContiguousArray<Node> {
    var all = unsafe ContiguousArray(UnsafeBufferPointer(start: heap, count: heapCount))
    for index in nextInLine..<lineCount where isWanted(index) { unsafe all.append(line[index]) }
    all.sort(by: <)
    return all
  }

  /// Whether an entry waits, in the heap or in line.
  @inline(__always)
  func contains(_ token: TimerToken) -> Bool { isCurrent(token) }

  /// Ends the queue and hands out all payloads, by deadline and then by submission. Nothing can be inserted any more,
  /// and all tokens are stale; of those that were not, ``wasHandedOut(_:)`` is true.
  ///
  /// - Complexity: O(n log n).
  func close() -> [Payload] {
    let all = nodes
    isClosed = true
    heapCount = 0
    lineCount = 0
    nextInLine = 0
    count = 0
    return all.map { unsafe (payloads + Int($0.slot)).move() }
  }

  /// Whether an entry still waited when the queue was closed.
  func wasHandedOut(_ token: TimerToken) -> Bool {
    guard isClosed, Int(token.slot) < slotCount else { return false }
    return unsafe slots[Int(token.slot)].generation == token.generation
  }
}

// MARK: - Slots

private struct Slot {
  /// Counts the entries that this slot has held, and so tells a stale token from a current one.
  var generation: UInt32
  /// Where the entry is, see `Position`; while the slot is free, the next free one.
  var position: UInt32
}

/// A number below `inLine` is an index in the heap, one from there on an index in the line.
private enum Position {
  static var inLine: UInt32 { 1 << 31 }
  /// Nowhere, and the end of the free list.
  static var none: UInt32 { .max }
}

extension TimerQueue {
  @inline(__always)
  private func isCurrent(_ token: TimerToken) -> Bool {
    guard !isClosed, Int(token.slot) < slotCount else { return false }
    return unsafe slots[Int(token.slot)].generation == token.generation
  }

  private func claimSlot(for payload: consuming Payload) -> UInt32 {
    var slot = freeSlot
    if slot != Position.none {
      freeSlot = unsafe slots[Int(slot)].position
    } else {
      slot = claimHighOrNewSlot()
    }
    unsafe (payloads + Int(slot)).initialize(to: payload)
    return slot
  }

  private func claimHighOrNewSlot() -> UInt32 {
    var slot = freeHighSlot
    if slot != Position.none {
      freeHighSlot = unsafe slots[Int(slot)].position
    } else {
      if slotCount == capacity { grow() }
      slot = UInt32(slotCount)
      unsafe (slots + slotCount).initialize(to: Slot(generation: firstGeneration, position: Position.none))
      slotCount += 1
    }
    if slot >= firstHighSlot { highCount += 1 }
    return slot
  }

  private func grow() {
    precondition(slotCount < Int(Position.inLine) - 1, "a TimerQueue holds fewer than 2^31 entries")
    resize(to: max(64, capacity * 2))
    // No slot is free.
    if capacity > keptCapacity { highCount = slotCount - Int(firstHighSlot) }
  }

  private func resize(to newCapacity: Int) {
    capacity = newCapacity
    firstHighSlot = capacity > keptCapacity ? UInt32(capacity / 4) : .max
    unsafe heap = GrowingBlock.resize(heap, to: capacity)
    unsafe slots = GrowingBlock.resize(slots, to: capacity)
    unsafe payloads = GrowingBlock.resize(payloads, to: capacity)
  }

  private func releaseSlot(_ slot: UInt32) -> Payload {
    let index = Int(slot)
    count -= 1
    unsafe slots[index].generation += 1
    let payload = unsafe (payloads + index).move()
    if slot >= firstHighSlot {
      releaseHighSlot(slot)
    } else {
      unsafe slots[index].position = freeSlot
      // A slot whose generations are used up stays unused for ever, so that no token comes twice.
      if unsafe slots[index].generation < .max { freeSlot = slot }
    }
    return payload
  }

  private func releaseHighSlot(_ slot: UInt32) {
    unsafe slots[Int(slot)].position = freeHighSlot
    // One whose generations are used up is kept, and so counts as used.
    if unsafe slots[Int(slot)].generation == .max { return }
    freeHighSlot = slot
    highCount -= 1
    if highCount == 0 { giveBack() }
  }

  /// Nothing waits above the first quarter: halves the queue for as long as that is so.
  ///
  /// O(n) in the capacity; since that was reached, or halved, a quarter of it has been released.
  @inline(never)
  private func giveBack() {
    // Entries in line may be gone, and their slots are looked at nevertheless. The pass's end comes back here.
    guard nextInLine == lineCount, capacity > keptCapacity else { return }
    var used = min(slotCount, Int(firstHighSlot))
    while used > 0, !isInUse(used - 1) { used -= 1 }
    var less = capacity
    while less > keptCapacity, used <= less / 4 { less /= 2 }
    var generation = firstGeneration
    for index in min(less, slotCount)..<slotCount { generation = unsafe max(generation, slots[index].generation) }
    // All new slots would begin with few generations left. After 2^31 entries in one slot the queue stays as it is.
    if generation > .max / 2 {
      keptCapacity = capacity
      return
    }
    firstGeneration = generation
    slotCount = min(slotCount, less)
    resize(to: less)
    lineCount = 0
    nextInLine = 0
    if lineCapacity > less {
      lineCapacity = less
      unsafe line = GrowingBlock.resize(line, to: less)
    }
    listFreeSlots()
  }

  private func isInUse(_ index: Int) -> Bool {
    let slot = unsafe slots[index]
    if slot.generation == .max { return true }
    guard slot.position < heapCount else { return false }
    return unsafe heap[Int(slot.position)].slot == index
  }

  /// Makes both lists of free slots anew, the lowest first.
  private func listFreeSlots() {
    freeSlot = Position.none
    freeHighSlot = Position.none
    highCount = 0
    for index in (0..<slotCount).reversed() {
      let isHigh = index >= Int(firstHighSlot)
      if isInUse(index) {
        if isHigh { highCount += 1 }
        continue
      }
      unsafe slots[index].position = isHigh ? freeHighSlot : freeSlot
      if isHigh { freeHighSlot = UInt32(index) } else { freeSlot = UInt32(index) }
    }
  }
}

// MARK: - The line

extension TimerQueue {
  private func growLine() {
    lineCapacity = max(64, lineCapacity * 2)
    unsafe line = GrowingBlock.resize(line, to: lineCapacity)
  }

  /// Whether the entry in line at an index was neither delivered nor removed nor moved: its slot still points here.
  private func isWanted(_ index: Int) -> Bool {
    unsafe slots[Int(line[index].slot)].position == Position.inLine + UInt32(index)
  }

  private func skipUnwanted() {
    while nextInLine < lineCount, !isWanted(nextInLine) { nextInLine += 1 }
  }

  /// Takes a current entry out of wherever it waits; its slot stays claimed, and points nowhere.
  private func withdraw(_ slot: UInt32) {
    let position = unsafe slots[Int(slot)].position
    unsafe slots[Int(slot)].position = Position.none
    if position < Position.inLine { removeNode(at: Int(position)) } else { skipUnwanted() }
  }
}

// MARK: - The heap

private struct Node {
  var deadline: Int64
  /// Younger entries have higher numbers.
  var sequence: UInt32
  var slot: UInt32

  @inline(__always)
  static func < (left: Node, right: Node) -> Bool {
    left.deadline < right.deadline || (left.deadline == right.deadline && left.sequence < right.sequence)
  }
}

extension TimerQueue {
  private func makeNode(slot: UInt32, deadline: Int64) -> Node {
    if nextSequence == .max { renumber() }
    defer { nextSequence += 1 }
    return Node(deadline: deadline, sequence: nextSequence, slot: slot)
  }

  /// Numbers all entries from zero, in the order that they have: those in line first, since they are older than any
  /// that are due at the same time. Once in 2^32 entries; a sorted array is a heap.
  private func renumber() {
    for index in 0..<lineCount { unsafe line[index].sequence = UInt32(index) }
    var pending = unsafe UnsafeMutableBufferPointer(start: heap, count: heapCount)
    unsafe pending.sort(by: <)
    for index in 0..<heapCount {
      let node = unsafe heap[index]
      fill(index, with: Node(deadline: node.deadline, sequence: UInt32(lineCount + index), slot: node.slot))
    }
    nextSequence = UInt32(lineCount + heapCount)
  }

  private func push(_ node: Node) {
    // There is room: each entry has a slot of its own.
    heapCount += 1
    rise(node, from: heapCount - 1)
  }

  private func removeNode(at index: Int) {
    heapCount -= 1
    if index < heapCount { place(unsafe heap[heapCount], at: index) }
  }

  /// Puts a node in the place of the one at an index, and then where it belongs.
  private func place(_ node: Node, at index: Int) {
    if index > 0, unsafe node < heap[(index - 1) / 4] { rise(node, from: index) } else { sink(node, from: index) }
  }

  // Both percolate a hole and write the node once, at the end: one write a level where a swap makes two.

  private func rise(_ node: Node, from start: Int) {
    var hole = start
    while hole > 0 {
      let parent = (hole - 1) / 4
      guard unsafe node < heap[parent] else { break }
      fill(hole, with: unsafe heap[parent])
      hole = parent
    }
    fill(hole, with: node)
  }

  private func sink(_ node: Node, from start: Int) {
    var hole = start
    while true {
      let child = hole * 4 + 1
      guard child < heapCount else { break }
      var least = child
      var other = child + 1
      let end = min(child + 4, heapCount)
      while other < end {
        if unsafe heap[other] < heap[least] { least = other }
        other += 1
      }
      guard unsafe heap[least] < node else { break }
      fill(hole, with: unsafe heap[least])
      hole = least
    }
    fill(hole, with: node)
  }

  @inline(__always)
  private func fill(_ index: Int, with node: Node) {
    unsafe heap[index] = node
    unsafe slots[Int(node.slot)].position = UInt32(truncatingIfNeeded: index)
  }
}
