// Where the calling code is, as seen from a loop.

extension LoopCore {
  private var address: UInt { UInt(bitPattern: unsafe Unmanaged.passUnretained(self).toOpaque()) }

  /// On this loop's thread, while the loop is a loop.
  @inline(__always)
  var isCurrent: Bool { currentSlot.word == address }

  /// Where this loop's isolation holds: its thread, its reaper, or whoever drains its late jobs.
  @inline(__always)
  var isIsolating: Bool { isolatingSlot.word == address }

  /// Marks the calling thread. `false` for both when the thread stops being one of this loop.
  func mark(current isCurrent: Bool, isolating isIsolating: Bool) {
    currentSlot.word = isCurrent ? address : 0
    isolatingSlot.word = isIsolating ? address : 0
  }

  /// The core whose loop runs on the calling thread.
  static var current: LoopCore? { core(at: ThreadSlot.current) }

  /// The core whose jobs the calling thread runs.
  static var isolating: LoopCore? { core(at: ThreadSlot.isolating) }

  private static func core(at slot: ThreadSlot) -> LoopCore? {
    guard let this = unsafe UnsafeRawPointer(bitPattern: slot.word) else { return nil }
    return unsafe Unmanaged<LoopCore>.fromOpaque(this).takeUnretainedValue()
  }

  /// For calls that only unsafe code can make in the wrong place.
  @inline(__always)
  func requireCurrent(_ what: @autoclosure () -> String, instead: @autoclosure () -> String) {
    if !isCurrent { trapOffLoop(what(), instead()) }
  }

  func trapOffLoop(_ what: String, _ instead: String) -> Never {
    fatalError(
      """
      UVLoop: \(what) was called off its loop. It belongs to loop "\(name)" on \(threadText); the call came from \
      \(ThreadIdentity.current). \(instead)
      """)
  }

  /// Traps in the child of a fork, where the loop's thread does not exist and its epoll set is the parent's.
  @inline(__always)
  func requireOwnProcess() {
    if !isOwnProcess {
      fatalError(
        """
        UVLoop: loop "\(name)" belongs to the parent of this process. After a fork its thread does not exist here, and \
        touching it would disturb the parent. Make a new EventLoop in the child, or exec.
        """)
    }
  }

  @inline(__always)
  var isOwnProcess: Bool { generation == ProcessGeneration.current }

  var threadText: String { thread.map(String.init(describing:)) ?? "a thread that has not started" }

  /// Where the current task is, and what it prefers.
  enum Preference {
    /// On this loop's thread, without a preference.
    case none
    /// On this loop's thread, and it prefers the loop.
    case loop(LoopTaskExecutor)
    /// On another thread, or it prefers somebody else.
    case elsewhere
  }

  var preference: Preference {
    guard isCurrent, let executor = owner?.taskExecutor else { return .elsewhere }
    let preferred = unsafe withUnsafeCurrentTask { unsafe $0?.unownedTaskExecutor }
    guard let preferred = unsafe preferred else { return .none }
    return unsafe preferred == executor.asUnownedTaskExecutor() ? .loop(executor) : .elsewhere
  }
}
