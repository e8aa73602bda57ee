internal import CLibUV

/// Tells where another thread of this process stands, by a signal that it sends to that thread.
///
/// The thread copies its registers and its stack in the handler, and does nothing else there: no lock, no allocation,
/// no walk through tables that another thread may be changing. The walk happens on the asking thread, in the copy.
///
/// The signal belongs to the sampler, for all threads, from the first sampler until the last one for it has gone. One
/// that is ignored by default is best: a late one then harms nobody. `SIGURG` is, and nothing else uses it but sockets
/// with urgent data.
///
/// The interrupted thread goes on where it was. Calls that the kernel does not begin again after a signal end with
/// `EINTR` (`signal(7)`): `poll`, `epoll_wait` and the sleeps, of which `usleep` returns early. Who asks asks rarely.
final class StackSampler: Sendable {
  /// The signal that it sends.
  let signal: Signal

  /// Ignored by default.
  static let defaultSignal = Signal(rawValue: SIGURG)

  /// Claims the signal for as long as the sampler lives.
  ///
  /// - Parameter call: What the error says has failed.
  /// - Throws: ``UVError/Code/invalidArgument`` for a signal that cannot be used; ``UVError/Code/busy`` for one that
  ///   the program handles, a `SignalHandle` for instance; ``UVError/Code/notSupported`` on a system or a processor
  ///   where the stack of another thread cannot be read.
  init(
    _ signal: Signal = StackSampler.defaultSignal, for call: String = "StackSampler.init"
  ) throws(UVError) {
    try SignalClaims.process.claim(signal, for: call)
    self.signal = signal
  }

  deinit { SignalClaims.process.release(signal.rawValue) }

  /// Where the thread stands: addresses of the instructions that it executes, the innermost first. Nil if it does not
  /// answer in time: it has ended, blocks the signal, or is in a call of the kernel's that nothing interrupts.
  ///
  /// Waits for another sample that is being taken; `limit` holds for both. May be called on any thread.
  func sample(_ thread: SampledThread, within limit: Duration) -> [UInt]? {
    let deadline = MonotonicClock.now(plus: limit)
    // Somebody else's handler would take our signal for its own.
    if thread.isClosed || !StackSheet.answers(to: signal.rawValue) { return nil }
    return StackSheet.ask(thread, by: signal.rawValue, until: deadline)?.callers()
  }
}
