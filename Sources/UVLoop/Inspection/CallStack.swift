internal import CLibUV

/// The calls that led to where the calling thread stands, by frame pointers.
///
/// For the place where something was made: it costs nanoseconds, and sees Swift's functions up to the first one of a C
/// library, which keeps no frame pointer.
enum CallStack {
  /// Addresses within the calls, the caller's own first.
  ///
  /// - Parameters:
  ///   - stack: The calling thread's, `SampledThread.ownStack`. To ask for it costs more than the walk.
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
      let caller = unsafe StackSnapshot.plain(frame[1])
      if caller < 4_096 { break }
      found.append(caller - 1)
      let next = unsafe StackSnapshot.plain(frame[0])
      if next <= pointer { break }
      pointer = next
    }
    return found
  }
}
