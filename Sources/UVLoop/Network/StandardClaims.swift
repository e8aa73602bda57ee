#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Which loop has which of the process's standard streams. Any thread may ask.
final class StandardClaims: @unchecked Sendable {  // Holds because `owners` is guarded by `lock`.
  private let lock = Lock()
  /// By what the loop is, which is there until it has let go. The name is for messages.
  private var owners: [StandardDescriptor: (loop: ObjectIdentifier, name: String)] = [:]

  static let process = StandardClaims()

  /// In the child of a fork the parent's loops have none. The lock is taken around the fork, since otherwise the child
  /// may inherit it locked by a thread that it does not have.
  private init() {
    let status = pthread_atfork(
      { StandardClaims.process.lock.lock() }, { StandardClaims.process.lock.unlock() },
      {
        StandardClaims.process.owners = [:]
        StandardClaims.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }

  func withLock<R>(_ body: () -> R) -> R { lock.withLock(body) }

  /// Before each use that finds it not open yet. It stays the loop's until ``release(_:)``.
  func claim(_ number: StandardDescriptor, for loop: LoopCore, _ call: StaticString) throws(UVError) {
    let owner = lock.withLock {
      let owner = owners[number] ?? (ObjectIdentifier(loop), loop.name)
      owners[number] = owner
      return owner
    }
    if owner.loop != ObjectIdentifier(loop) { throw StandardClaims.busy(number, owner.name, "\(call)") }
  }

  /// Why the loop cannot have it now; nil if it can.
  func refusal(_ number: StandardDescriptor, for loop: LoopCore, _ call: @autoclosure () -> String) -> UVError? {
    guard let owner = lock.withLock({ owners[number] }), owner.loop != ObjectIdentifier(loop) else { return nil }
    return StandardClaims.busy(number, owner.name, call())
  }

  private static func busy(_ number: StandardDescriptor, _ owner: String, _ call: String) -> UVError {
    UVError(
      .busy, call: call,
      "\(number.title) belongs to loop \"\(owner)\", which has used it first, until that has shut down.")
  }

  /// The loop has ended.
  func release(_ loop: LoopCore) {
    lock.withLock { owners = owners.filter { $0.value.loop != ObjectIdentifier(loop) } }
  }
}
