import Testing

@testable import UVLoop

// Tests run side by side, and Swift's pool has as many threads as there are CPUs. An exit test holds one of these for
// as long as its process lives, since Swift Testing reads from that until it ends: two of them hold a pool of two, and
// then nothing that others wait for can happen, while whatever they keep spinning goes on. What spins or floods takes a
// CPU from those who count on it, and a bound on time is not kept by a machine that does a dozen other things.
//
//   sideBySide ──all have ended──▶ alone, one after the other
//
// A test that comes late in the first group goes before the second.

/// How much of the machine the tests of a suite need. Every suite says it; `Scripts/check` sees to that.
struct MachineShare: SuiteTrait, TestTrait, TestScoping {
  enum Need { case sideBySide, alone }

  let need: Need
  let isRecursive = true

  func scopeProvider(for test: Test, testCase: Test.Case?) -> MachineShare? { test.isSuite ? nil : self }

  /// A test takes its share before Swift Testing counts how many cases may run at once, and so holds nothing meanwhile.
  /// Its cases, which would run at once, share what it has got.
  @concurrent func provideScope(
    for test: Test, testCase: Test.Case?, performing body: @concurrent @Sendable () async throws -> Void
  ) async throws {
    if testCase == nil {
      try await MachineQueue.tests.run(need) { try await body() }
    } else {
      let isNoted = RunningCases.shared.begin("\(test.name)")
      defer { RunningCases.shared.end(isNoted) }
      try await MachineQueue.cases.run(need) { try await body() }
    }
  }
}

extension Trait where Self == MachineShare {
  /// Beside others: for what waits for events, whenever they come.
  static var sideBySide: MachineShare { MachineShare(need: .sideBySide) }
  /// With nobody beside it: for exit tests, spins, floods, and bounds on time.
  static var alone: MachineShare { MachineShare(need: .alone) }
}

/// Who may run now: any number side by side, or one alone.
private final class MachineQueue: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  static let tests = MachineQueue()
  static let cases = MachineQueue()

  private let lock = Lock()
  private var besides = 0
  private var isAlone = false
  private var waitingBesides: [CheckedContinuation<Void, Never>] = []
  private var waitingAlone: [CheckedContinuation<Void, Never>] = []

  func run(_ need: MachineShare.Need, _ body: () async throws -> Void) async rethrows {
    await enter(need)
    defer { leave(need) }
    try await body()
  }

  private func enter(_ need: MachineShare.Need) async {
    await withCheckedContinuation { continuation in
      let mayGoOn = lock.withLock {
        switch need {
        case .sideBySide:
          if isAlone { waitingBesides.append(continuation) } else { besides += 1 }
          return !isAlone
        case .alone:
          let isFree = besides == 0 && !isAlone
          if isFree { isAlone = true } else { waitingAlone.append(continuation) }
          return isFree
        }
      }
      if mayGoOn { continuation.resume() }
    }
  }

  private func leave(_ need: MachineShare.Need) {
    let next = lock.withLock { () -> [CheckedContinuation<Void, Never>] in
      if need == .alone { isAlone = false } else { besides -= 1 }
      if !waitingBesides.isEmpty {
        defer { waitingBesides = [] }
        besides += waitingBesides.count
        return waitingBesides
      }
      if besides > 0 || waitingAlone.isEmpty { return [] }
      isAlone = true
      return [waitingAlone.removeFirst()]
    }
    for continuation in next { continuation.resume() }
  }
}
