/// The waits that a shutdown must end itself: nobody else on the loop lists them. Belongs to the loop's thread.
final class LoopWaits {
  private let inbox: LoopInbox
  private let members: LoopMembers<LoopWait>
  let scopes = WaitScopes()

  init(_ registryLock: BiasedLock, _ inbox: LoopInbox) {
    self.inbox = inbox
    members = LoopMembers(registryLock)
  }

  /// Whether shutdown ends the waits, or has. From then on none begins.
  var areReleased: Bool { !inbox.life.admitsWaits }

  /// How many there are.
  var count: Int { members.all.count }

  /// What each of them is for. Others may ask under the registry lock.
  var kinds: [WaitKind] { members.all.map(\.kind) }

  func add(_ wait: LoopWait) { members.add(wait) }

  func remove(_ wait: LoopWait) { members.remove(wait) }

  /// Shutdown: every wait ends with `loopClosed`.
  func release() {
    for wait in members.all { wait.endClosed() }
  }
}
