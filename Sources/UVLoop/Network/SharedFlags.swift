import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// O_NONBLOCK belongs to what is open, and not to the descriptor: whoever else has it finds a read that fails where it
// waited before. So it is put back when the last of ours has closed, and when the process exits. Standard output and
// standard error are often one and the same: then the second finds what the first has set, and what was there before is
// put back in the opposite order.

/// What this process has made non-blocking though others have it too.
final class SharedFlags: @unchecked Sendable {  // Holds because `claims` is guarded by `lock`.
  struct Token { fileprivate let number: Int }

  private struct Claim {
    let number: Int
    let location: Location
    /// A descriptor of our own.
    let descriptor: Int32
    let wasNonBlocking: Bool
    var isInUse = true
  }

  /// What tells one from another. The windows' ends of all pseudo-terminals are one file.
  private struct Location: Equatable {
    let identity: Posix.Identity
    let terminal: UInt64
    /// Both ends of a pipe are one file.
    let access: Int32
  }

  private let lock = Lock()
  private var claims: [Claim] = []
  private var lastNumber = 0

  static let process = SharedFlags()

  private init() {
    // The child of a fork shares what is open with its parent, who goes on using it.
    let status = pthread_atfork(
      { SharedFlags.process.lock.lock() }, { SharedFlags.process.lock.unlock() },
      {
        SharedFlags.process.claims = []
        SharedFlags.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
    // Where there is no memory for it the flag stays as it is.
    _ = atexit { SharedFlags.process.restoreAll() }
  }

  /// Makes it non-blocking. To be given back with ``release(_:)``.
  func claim(_ descriptor: Int32, _ call: String) throws(UVError) -> Token {
    let own = try check(Socket.duplicate(descriptor), call)
    guard let identity = Posix.Identity(of: own) else {
      throw UVError(.badFileDescriptor, call: call, "Descriptor \(descriptor) is not open.")
    }
    let location = Location(
      identity: identity, terminal: Posix.isTerminal(own) ? clibuv_terminal_number(own) : 0,
      access: Posix.flags(of: own) & O_ACCMODE)
    return lock.withLock {
      lastNumber += 1
      claims.append(
        Claim(
          number: lastNumber, location: location, descriptor: own,
          wasNonBlocking: Posix.flags(of: own) & O_NONBLOCK != 0))
      Posix.setNonBlocking(own, true)
      return Token(number: lastNumber)
    }
  }

  func release(_ token: Token) {
    lock.withLock {
      guard let index = claims.firstIndex(where: { $0.number == token.number }) else { return }
      claims[index].isInUse = false
      let location = claims[index].location
      if claims.contains(where: { $0.location == location && $0.isInUse }) { return }
      for claim in claims.reversed() where claim.location == location {
        Posix.setNonBlocking(claim.descriptor, claim.wasNonBlocking)
        Posix.close(claim.descriptor)
      }
      claims.removeAll { $0.location == location }
    }
  }

  private func restoreAll() {
    lock.withLock {
      for claim in claims.reversed() { Posix.setNonBlocking(claim.descriptor, claim.wasNonBlocking) }
    }
  }
}
