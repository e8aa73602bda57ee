/// Where something was asked for: the calls that led there, the innermost first.
struct CallSite: Sendable, Hashable {
  let addresses: [UInt]

  /// Of the calling code. Some hundred nanoseconds: for those who want to know.
  @inline(never)
  static func capture() -> CallSite { CallSite(addresses: CallStack.current(in: ownStack)) }

  /// To ask the system each time would cost many times as much.
  private static var ownStack: Range<UInt> {
    if high.word == 0 {
      let own = CallStack.own
      low.word = own.lowerBound
      high.word = own.upperBound
    }
    return low.word..<high.word
  }

  private static let low = ThreadSlot()
  private static let high = ThreadSlot()
}
