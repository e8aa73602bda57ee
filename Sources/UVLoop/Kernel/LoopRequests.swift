import CLibUV

/// The requests that libuv has of a loop, so that a shutdown waits for them, and nobody takes them for those of C code.
/// Belongs to the loop's thread.
final class LoopRequests: LoopComponent {
  private let members: LoopMembers<PendingRequest>

  init(_ loop: LoopCore) { members = LoopMembers(loop.registryLock) }

  /// Others may read it under the registry lock.
  var inFlight: [PendingRequest] { members.all }

  func add(_ request: PendingRequest) { members.add(request) }

  func remove(_ request: PendingRequest) { members.remove(request) }

  func releaseWaits() {
    for request in inFlight { request.releaseWaits() }
  }

  /// The time that the shutdown was given is over: what has not begun shall not.
  func cancelUnbegun() {
    for request in inFlight { request.cancel() }
  }

  var isSettled: Bool { !inFlight.contains(where: \.isAwaited) }

  var isEmpty: Bool { inFlight.isEmpty }

  /// On virtual time: each of them comes back by itself.
  var hasNoWork: Bool { isSettled }

  var uvRequests: Int { inFlight.count }

  func report(into report: inout ShutdownReport) {
    let now = MonotonicClock.now()
    for request in inFlight where request.isAwaited {
      report.unfinished.append(
        .init(kind: .request, label: request.kind.rawValue, age: .nanoseconds(now - request.since)))
    }
  }
}

extension LoopCore {
  private static let requestsKey = ComponentKey<LoopRequests>()

  /// The loop's requests in flight.
  var requests: LoopRequests { component(LoopCore.requestsKey) { LoopRequests($0) } }
}
