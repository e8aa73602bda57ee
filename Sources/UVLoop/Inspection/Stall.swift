/// A loop that has been blocked for some time, as ``EventLoop/startWatchdog(over:signal:_:)`` tells while it lasts.
public struct Stall: Sendable, Codable {
  /// The loop's name.
  public let loop: String
  /// Its thread.
  public let thread: LoopSnapshot.Thread
  /// For how long it has been blocked so far.
  public let lasted: Duration
  /// What runs; nil where nobody knows: code of a C neighbour.
  public let running: LoopSnapshot.Running?
  /// Where the loop's thread stood, the innermost call first. Empty where the thread did not answer, or the system
  /// cannot tell.
  public let stack: StackTrace
}

extension Stall: CustomStringConvertible {
  /// The loop, its thread, what runs for how long, and the stack.
  public var description: String {
    let what = running.map { " It runs \($0.label.map { "\"\($0)\", a " } ?? "a ")\($0.kind)." } ?? ""
    let place = stack.isEmpty ? " Where it stands is not known." : " It stands in\n\(stack)"
    return """
      loop "\(loop)" has been blocked for \(lasted.text), on \(thread.name) (thread \(thread.id), kernel id \
      \(thread.kernelID)).\(what)\(place)
      """
  }
}
