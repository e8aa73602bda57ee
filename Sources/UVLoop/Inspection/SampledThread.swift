internal import CLibUV
import Synchronization

/// A thread that lets others see where it stands.
///
/// It makes this itself, and closes it before it ends: the system gives the numbers of ended threads to later ones.
final class SampledThread: Sendable {
  let identity: ThreadIdentity

  /// Its stack. Empty where the system does not tell: then only the innermost function is known.
  let stack: Range<UInt>

  private let signal: Int32
  private let wasBlocked: Bool
  private let closed = Atomic<Bool>(false)

  /// The calling thread, which takes the sampler's signal from now on. Threads that it starts inherit that, unless
  /// they are started with `DetachedThread.asCreator`.
  init(takes signal: Signal) {
    identity = .current
    stack = CallStack.own
    self.signal = signal.rawValue
    wasBlocked = SampledThread.setBlocked(false, signal.rawValue)
  }

  /// On the thread itself, before it ends: it blocks the signal again, if it did. Anywhere else nothing but samples
  /// end.
  func close() {
    if closed.exchange(true, ordering: .acquiringAndReleasing) { return }
    if wasBlocked && identity == .current { SampledThread.setBlocked(true, signal) }
  }

  var isClosed: Bool { closed.load(ordering: .acquiring) }

  /// Whether the signal was blocked before.
  @discardableResult
  private static func setBlocked(_ isBlocked: Bool, _ signal: Int32) -> Bool {
    var (set, before) = (sigset_t(), sigset_t())
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, signal)
    unsafe pthread_sigmask(isBlocked ? SIG_BLOCK : SIG_UNBLOCK, &set, &before)
    return unsafe sigismember(&before, signal) == 1
  }
}
