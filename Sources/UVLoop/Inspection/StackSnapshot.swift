/// A thread's registers and a copy of its stack at one moment, and the walk from each function to its caller.
///
/// The walk follows the tables that compilers write for exceptions (`.eh_frame`), since C libraries keep no frame
/// pointers: without them the caller of a `nanosleep` is lost, and that one is who blocks. Where a function has no
/// table the walk goes on by frame pointers, which Swift's functions have. It reads the copy only, so that whatever the
/// registers and the tables say, it cannot leave the stack.
struct StackSnapshot {
  /// By their DWARF numbers.
  let registers: [UInt]
  /// The address of the first word.
  let base: UInt
  let words: [UInt]

  #if arch(arm64)
    static let (framePointer, stackPointer, instruction, link) = (29, 31, 32, 30)
  #else
    static let (framePointer, stackPointer, instruction) = (6, 7, 16)
  #endif

  /// Those in the copy, which begins at the stack pointer.
  func word(at address: UInt) -> UInt? {
    let (offset, isBelow) = address.subtractingReportingOverflow(base)
    if isBelow || offset % 8 != 0 || offset / 8 >= UInt(words.count) { return nil }
    return words[Int(offset / 8)]
  }

  /// The address of the instruction at which each function stands, the innermost first. That of a caller lies within
  /// its call and not behind it, where another function may begin.
  func callers(limit: Int = 256) -> [UInt] {
    var frame = registers
    var isInterrupted = true
    var found: [UInt] = []
    while found.count < limit {
      let pc = frame[StackSnapshot.instruction]
      if pc < 4_096 { break }
      found.append(isInterrupted ? pc : pc - 1)
      let place = isInterrupted ? pc : pc - 1
      let rules = LoadedImages.withImage(at: place) { CallFrame(at: place, in: $0) } ?? nil
      let before = frame
      var isNextInterrupted = false
      switch rules?.caller(of: frame, in: self) ?? .unknown {
      case .outermost:
        return found
      case .registers(let next):
        frame = next
        isNextInterrupted = rules?.isSignal ?? false
      case .unknown:
        let leaf = isInterrupted ? returnFromLeaf(frame) : nil
        guard let next = leaf ?? followFramePointer(frame) else { return found }
        frame = next
      }
      frame[StackSnapshot.framePointer] = CallStack.plain(frame[StackSnapshot.framePointer])
      // A stack that does not grow shorter is a circle.
      let (sp, earlier) = (frame[StackSnapshot.stackPointer], before[StackSnapshot.stackPointer])
      if sp < earlier || (sp == earlier && !isInterrupted) { break }
      isInterrupted = isNextInterrupted
    }
    return found
  }

  /// A stub that jumps on to another library has no table and no frame: its return address is still where the call
  /// has put it.
  private func returnFromLeaf(_ frame: [UInt]) -> [UInt]? {
    var next = frame
    #if arch(arm64)
      let target = CallStack.plain(frame[StackSnapshot.link])
    #else
      guard let target = word(at: frame[StackSnapshot.stackPointer]) else { return nil }
      next[StackSnapshot.stackPointer] += 8
    #endif
    guard LoadedImages.withImage(at: target, { $0.isCode(target) }) == true else { return nil }
    next[StackSnapshot.instruction] = target
    return next
  }

  private func followFramePointer(_ frame: [UInt]) -> [UInt]? {
    let pointer = frame[StackSnapshot.framePointer]
    guard let saved = word(at: pointer), let target = word(at: pointer &+ 8) else { return nil }
    var next = frame
    next[StackSnapshot.framePointer] = saved
    next[StackSnapshot.stackPointer] = pointer &+ 16
    next[StackSnapshot.instruction] = CallStack.plain(target)
    return next
  }
}
