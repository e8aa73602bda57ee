internal import CLibUV

/// The calls that led to where the calling thread stands, by frame pointers.
///
/// For the place where something was made: it costs nanoseconds, and sees Swift's functions up to the first one of a C
/// library, which keeps no frame pointer.
enum CallStack {
  /// Addresses within the calls, the caller's own first.
  ///
  /// - Parameters:
  ///   - stack: The calling thread's, ``own``. To ask for it costs more than the walk.
  ///   - limit: How many at most.
  @inline(never)
  static func current(in stack: Range<UInt>, limit: Int = 16) -> [UInt] {
    var found: [UInt] = []
    found.reserveCapacity(limit)
    var pointer = clibuv_frame_pointer()
    // Holds because what is read lies in the stack of the thread that reads, which only it shortens.
    while found.count < limit, pointer % 8 == 0, pointer >= stack.lowerBound, pointer < stack.upperBound,
      stack.upperBound - pointer >= 16, let frame = unsafe UnsafePointer<UInt>(bitPattern: pointer)
    {
      let caller = unsafe plain(frame[1])
      if caller < 4_096 { break }
      found.append(caller - 1)
      let next = unsafe plain(frame[0])
      if next <= pointer { break }
      pointer = next
    }
    return found
  }

  /// The calling thread's stack.
  static var own: Range<UInt> {
    var (low, high) = (UInt(0), UInt(0))
    guard unsafe clibuv_stack_bounds(&low, &high), low < high else { return 0..<0 }
    return low..<high
  }

  /// An address without what Swift and the processor write into its upper bits: asynchronous frames are marked in bit
  /// 60 of the saved frame pointer, and signed return addresses of arm64 carry their signature above bit 47.
  static func plain(_ address: UInt) -> UInt {
    #if arch(arm64)
      address & 0x0000_ffff_ffff_ffff
    #else
      address & ~(1 << 60)
    #endif
  }
}

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
