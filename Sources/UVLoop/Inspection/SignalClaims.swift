internal import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Which signals the samplers of this process have taken, and what was there before.
final class SignalClaims: @unchecked Sendable {  // Holds because `claims` is guarded by `lock`.
  private struct Claim {
    var samplers: Int
    let before: sigaction
  }

  private let lock = Lock()
  private var claims: [Int32: Claim] = [:]

  static let process = SignalClaims()

  /// A child of a fork keeps the dispositions and has copies of the samplers, so that the claims stay true. The lock is
  /// taken around the fork, since otherwise the child may inherit it locked by a thread that it does not have.
  private init() {
    // Its lock is taken inside ours, also around a fork: handlers that are registered later run first before it.
    _ = SignalDisposition.process
    let status = pthread_atfork(
      { SignalClaims.process.lock.lock() }, { SignalClaims.process.lock.unlock() },
      { SignalClaims.process.lock.unlock() })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }

  /// Installs the sampler's handler if it is the first claim.
  func claim(_ signal: Signal, for call: String) throws(UVError) {
    if !clibuv_knows_registers() {
      throw UVError(.notSupported, call: call, "Where another thread stands cannot be read on this system.")
    }
    try signal.requireWatchable(call)
    if [SIGABRT, SIGTRAP, SIGSYS].contains(signal.rawValue) {
      throw UVError(.invalidArgument, call: call, "\(signal) cannot be used: it tells of a fault. Choose another one.")
    }
    let number = signal.rawValue
    try lock.withLock { () throws(UVError) in
      let isOurs = StackSheet.answers(to: number)
      if !isOurs && !clibuv_is_unhandled(number) {
        throw UVError(
          .busy, call: call,
          "The program handles \(signal) already, by a SignalHandle or by a handler of its own. Choose another one.")
      }
      var claim = Claim(samplers: 0, before: sigaction())
      if let known = claims[number] {
        claim = known
      } else if !isOurs {
        var before = sigaction()
        unsafe try check(sigaction(number, nil, &before) == 0 ? 0 : -Posix.errno, "sigaction")
        claim = Claim(samplers: 0, before: before)
      }
      if !isOurs { try StackSheet.answer(to: number) }
      claim.samplers += 1
      claims[number] = claim
    }
  }

  /// Puts back what was there if it was the last claim, and if nobody has installed anything else meanwhile. A
  /// `SignalHandle` that has will put that back in place of our handler.
  func release(_ number: Int32) {
    lock.withLock {
      guard var claim = claims[number] else { return }
      claim.samplers -= 1
      claims[number] = claim.samplers == 0 ? nil : claim
      if claim.samplers > 0 { return }
      SignalDisposition.process.withSaved(number) { saved in
        if let found = saved, StackSheet.isAnswer(found) { saved = claim.before }
        if !StackSheet.answers(to: number) { return }
        // To ignore it drops those that pend, on all threads: the default of some signals ends the process.
        _ = clibuv_ignore(number)
        var before = claim.before
        _ = unsafe sigaction(number, &before, nil)
      }
    }
  }
}
