import Synchronization

/// Who watches a loop, and what they want to know. Without anybody all of this is a load and a branch.
///
/// An object of its own, so that components reach it without the core, which would be retained for each use.
final class LoopWatch: Sendable {
  let observer: any LoopObserver
  private let bits = Atomic<UInt8>(0)

  init(_ observer: any LoopObserver) { self.observer = observer }

  @inline(__always)
  var interest: LoopInterest { LoopInterest(rawValue: bits.load(ordering: .relaxed)) }

  /// From any thread. What is under way ends as it began.
  func setInterest(_ interest: LoopInterest, _ isWanted: Bool) {
    if isWanted {
      bits.bitwiseOr(interest.rawValue, ordering: .relaxed)
    } else {
      bits.bitwiseAnd(~interest.rawValue, ordering: .relaxed)
    }
  }

  /// Where the caller of the library stands, if anybody wants to know.
  @inline(__always)
  var siteIfWanted: CallSite? { interest.contains(.sites) ? CallSite.capture() : nil }

  /// Runs somebody's code where an observer sees it.
  @inline(__always)
  func observing(_ call: @autoclosure () -> LoopCall, _ body: () -> Void) {
    if interest.contains(.calls) { observe(call(), body) } else { body() }
  }

  @inline(never)
  private func observe(_ call: LoopCall, _ body: () -> Void) {
    observer.willRun(call)
    body()
    observer.didRun()
  }
}
