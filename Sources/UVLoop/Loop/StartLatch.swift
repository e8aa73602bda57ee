/// Where the one who starts a thread waits until that runs, and says who it is.
final class StartLatch: @unchecked Sendable {  // Holds because `lock` guards the identity.
  private let lock = Lock()
  private var identity: ThreadIdentity?

  func open() {
    lock.withLock {
      identity = .current
      lock.wakeAll()
    }
  }

  func wait() -> ThreadIdentity {
    lock.withLock {
      while true {
        if let identity { return identity }
        lock.wait()
      }
    }
  }
}
