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
    only part: String? = nil, peers: (_ number: Int) -> [Peer]
  ) {
    self.name = name
    self.title = title
    self.axis = axis
    workloads = numbers.map { number in
      Workload(
        name: "growth.\(name).\(number)", title: "\(title), \(axis): \(number)", size: size, quickSize: quickSize,
        only: part, peers: peers(number))
    }
  }

  /// In the order in which they run.
  static let all: [Growth] = [
    timers, sleepers, handles, sends, producers, threads, loops, lives, connections, idleConnections,
  ]

  static let decades = [10, 100, 1_000, 10_000, 100_000]
  static let doublings = [1, 2, 4, 8, 16, 32, 64]
}
