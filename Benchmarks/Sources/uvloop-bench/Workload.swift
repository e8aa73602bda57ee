/// What is measured, and by whom it is done.
struct Workload: Sendable {
  /// Its name in the output: what it is called in `uvloop-bench NAME`.
  let name: String
  /// One line for people.
  let title: String
  /// How many operations a run has, or for how many milliseconds a server is under load; a quick one has fewer.
  let size: Int
  let quickSize: Int
  /// Whether a shorter run goes before, in the same process. Not where memory is measured.
  var warmsUp = true
  /// Whether its figures are those of one operation, so that a slow peer may do fewer. Not where they are totals.
  var isPerOperation = true
  /// Which part of a peer's figures counts, as the workload's own; all of them if nil.
  var only: String?
  /// Where its threads may run.
  var placements: [Placement] = [.free]
  /// Who does it in a quick run of all workloads; nil for everybody.
  var quickPeers: Set<String>?
  let peers: [Peer]

  func size(quick: Bool) -> Int { quick ? quickSize : size }
}

/// Somebody who does the work.
struct Peer: Sendable {
  let name: String
  let work: Work

  /// Whether it is the library: nothing else differs between two builds.
  var isOurs: Bool { name.hasPrefix("uvloop-swift") }

  enum Work: Sendable {
    /// In a process of our own: does so many operations and says what that took.
    case here(@Sendable (_ size: Int) async throws -> [Figure])
    /// A script of another language, which takes the workload's name and the size, and prints figures.
    case script(Script)
    /// Its start is measured, so many times.
    case scriptStart(Script)
    /// A program that is started so many times.
    case program(String)
    /// A server in a process of its own, under a load from another one.
    case server(Server, Load)
  }

  init(_ name: String, _ measure: @escaping @Sendable (_ size: Int) async throws -> [Figure]) {
    self.name = name
    work = .here(measure)
  }

  init(_ name: String, _ work: Work) {
    self.name = name
    self.work = work
  }
}

/// Where the threads of a process may run.
enum Placement: String, Sendable {
  case free
  case oneCPU

  /// What the name of a workload gets.
  var suffix: String { self == .oneCPU ? "@1cpu" : "" }
}

/// One figure of one run.
struct Figure: Sendable {
  /// What it is beyond the workload's main figure: ".p99", say.
  var part = ""
  let value: Double
  let unit: Unit

  enum Unit: String, Sendable {
    case operationsPerSecond = "ops/s"
    case nanoseconds = "ns"
    case microseconds = "us"
    case milliseconds = "ms"
    case bytes = "B"
    case mebibytesPerSecond = "MiB/s"
    case percent = "%"

    var isBetterHigh: Bool { [.operationsPerSecond, .mebibytesPerSecond, .percent].contains(self) }
  }
}

/// A run whose figures mean nothing.
struct Wrong: Error, CustomStringConvertible {
  let description: String
}
