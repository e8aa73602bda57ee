/// How a cost or a throughput changes with the number of something.
struct Growth: Sendable {
  /// What it is called in `uvloop-bench growth NAME`.
  let name: String
  let title: String
  /// What is counted.
  let axis: String
  /// One for each number.
  let workloads: [Workload]

  init(
    _ name: String, _ title: String, over axis: String, _ numbers: [Int], size: Int, quickSize: Int,
    peers: (_ number: Int) -> [Peer]
  ) {
    self.name = name
    self.title = title
    self.axis = axis
    workloads = numbers.map { number in
      Workload(
        name: "growth.\(name).\(number)", title: "\(title), \(axis): \(number)", size: size, quickSize: quickSize,
        peers: peers(number))
    }
  }

  /// In the order in which they run.
  static let all: [Growth] = [timers, sleepers, handles, sends, producers, loops, lives]

  static let decades = [10, 100, 1_000, 10_000, 100_000]
  static let doublings = [1, 2, 4, 8, 16, 32, 64]
}

extension Peer {
  /// The same, of which only the CPU time of one operation counts: what else the machine does changes it least.
  var costs: Peer {
    guard case .here(let measure) = work else { return self }
    return Peer(name) { size in
      try await measure(size).filter { $0.part == ".cpu" }.map { Figure(value: $0.value, unit: $0.unit) }
    }
  }
}
