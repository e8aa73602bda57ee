/// The descriptors that have come over a pipe, the first to come first, and what became of others. It closes those that
/// nobody takes. Belongs to the loop's thread.
final class PassedDescriptors {
  /// How many wait. Of those that come then none is kept: a peer must not be able to use up the process's.
  static let most = 64

  enum Arrival: Equatable {
    case descriptor(Int32)
    /// So many had come that nobody took, and this many behind them were closed.
    case refused(Int)
    /// The process had no descriptor left for one or more.
    case lost
  }

  private var arrivals: [Arrival] = []
  /// How many of them are descriptors.
  private(set) var count = 0
  private var isClosed = false

  deinit { close() }

  var isEmpty: Bool { arrivals.isEmpty }

  /// The descriptor is this one's from now on.
  func add(_ descriptor: Int32) {
    if count < PassedDescriptors.most && !isClosed {
      count += 1
      return arrivals.append(.descriptor(descriptor))
    }
    Posix.close(descriptor)
    if isClosed { return }
    if case .refused(let earlier)? = arrivals.last {
      arrivals[arrivals.count - 1] = .refused(earlier + 1)
    } else {
      arrivals.append(.refused(1))
    }
  }

  func noteLost() {
    // However often in a row it is one error.
    if arrivals.last != .lost { arrivals.append(.lost) }
  }

  /// The next one; a descriptor is the caller's.
  func take() -> Arrival? {
    if arrivals.isEmpty { return nil }
    let first = arrivals.removeFirst()
    if case .descriptor = first { count -= 1 }
    return first
  }

  func close() {
    isClosed = true
    while let arrival = take() {
      if case .descriptor(let descriptor) = arrival { Posix.close(descriptor) }
    }
  }
}
