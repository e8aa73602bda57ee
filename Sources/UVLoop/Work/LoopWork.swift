/// The offloaded calls of a loop that libuv has not given back.
final class LoopWork: LoopResident {
  private var inFlight: [Offload] = []

  func add(_ offload: Offload) {
    unsafe offload.place = inFlight.count
    inFlight.append(offload)
  }

  func remove(_ offload: Offload) {
    let last = inFlight.removeLast()
    if last !== offload {
      unsafe inFlight[offload.place] = last
      unsafe last.place = offload.place
    }
  }

  /// A call that asked for the shutdown waits for it, and is not waited for; nor is one that its caller has abandoned.
  var isSettled: Bool { inFlight.allSatisfy { $0.isExcused || $0.isAbandoned } }

  var isEmpty: Bool { inFlight.isEmpty }

  func expire() {
    for offload in inFlight { offload.withdraw() }
  }

  func report(into report: inout ShutdownReport) {
    for offload in inFlight where !offload.isExcused {
      if let age = PoolLedger.process.age(of: offload) {
        report.unfinished.append(.init(kind: .offload, label: offload.label, age: age))
      }
    }
  }
}

extension LoopCore {
  /// The loop's offloaded calls.
  var work: LoopWork { resident(.work) { _ in LoopWork() } }
}
