/// Connects to the first of several addresses that answers, without waiting long for those that do not (RFC 8305).
///
/// One attempt begins after the other, in order: after the delay, or at once when the last one has failed. Those that
/// have begun go on beside each other until one succeeds. Addresses go by their index.
///
///     idle ──start──▶ trying ──one succeeds──▶ over, the others are cancelled
///                     trying ──the last failure──▶ over
///                     trying ──cancel──▶ over, all are cancelled
struct HappyEyeballs<Failure> {
  enum Action {
    /// Begin to connect to the address with this index.
    case start(Int)
    /// Start the timer with the delay, also while it runs.
    case arm
    /// Stop the timer.
    case disarm
    /// Close what the attempt has made, and report nothing more of it.
    case cancel(Int)
    /// The connection of this attempt is the one.
    case succeed(Int)
    /// There is none: the failure of each address, and the index of the one that came last.
    case fail([Failure], last: Int)
  }

  private let count: Int
  /// The next address to try.
  private var next = 0
  private var running: Set<Int> = []
  private var failures: [Int: Failure] = [:]
  private var isOver = false

  /// For so many addresses, at least one, in the order in which they are to be tried.
  init(count: Int) {
    precondition(count > 0, "There must be an address to connect to.")
    self.count = count
  }

  /// The first attempt; called once.
  mutating func start() -> [Action] { startNext() }

  /// The delay is over since the last attempt began.
  mutating func delayEnded() -> [Action] { isOver ? [] : startNext() }

  /// An attempt has connected. One that comes too late is cancelled.
  mutating func succeeded(_ index: Int) -> [Action] {
    if isOver { return [.cancel(index)] }
    running.remove(index)
    return end() + [.succeed(index)]
  }

  /// An attempt has failed, and has nothing left to close.
  mutating func failed(_ index: Int, _ failure: Failure) -> [Action] {
    if isOver || running.remove(index) == nil { return [] }
    failures[index] = failure
    if failures.count == count {
      return end() + [.fail((0..<count).compactMap { failures[$0] }, last: index)]
    }
    return index == next - 1 ? startNext() : []
  }

  /// Nobody waits any more.
  mutating func cancel() -> [Action] { isOver ? [] : end() }

  private mutating func startNext() -> [Action] {
    if next == count { return [] }
    running.insert(next)
    next += 1
    // The last one has no other to wait for. The start comes last, since an attempt may fail before it returns.
    return [next < count ? .arm : .disarm, .start(next - 1)]
  }

  private mutating func end() -> [Action] {
    isOver = true
    defer { running = [] }
    return [.disarm] + running.sorted().map { .cancel($0) }
  }
}

extension HappyEyeballs.Action: Equatable where Failure: Equatable {}

extension Sequence {
  /// The same elements, one of each family in turn. Families come in the order of their first elements, and the
  /// elements of a family keep theirs.
  func interleaved<Family: Hashable>(by family: (Element) -> Family) -> [Element] {
    var order: [Family] = []
    var groups: [Family: [Element]] = [:]
    for element in self {
      let family = family(element)
      if groups[family] == nil { order.append(family) }
      groups[family, default: []].append(element)
    }
    let longest = groups.values.map(\.count).max() ?? 0
    return (0..<longest).flatMap { index in
      order.compactMap { family in groups[family].flatMap { index < $0.count ? $0[index] : nil } }
    }
  }
}
