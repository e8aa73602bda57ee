import CLibUV

/// The open handles of a loop, so that shutdown can close them and nobody else's. Belongs to the loop's thread.
@safe final class LoopHandles: LoopComponent {
  // Holds because handles use it on the loop's thread only, for as long as there is a loop.
  private unowned(unsafe) let loop: LoopCore
  private let members: LoopMembers<Handle>
  private var calledBeforePoll: [Handle] = []
  private var called: [Handle] = []
  /// Those that libuv cannot close any more. They stay on its loop, which so never ends, and are not anybody else's.
  private var left: [UnsafeMutablePointer<uv_handle_t>]

  /// Handles made, closed and freed since the loop began. At its end all three are equal.
  private(set) var created = 0
  private(set) var closed = 0
  private(set) var freed = 0

  init(_ loop: LoopCore) {
    unsafe self.loop = loop
    members = LoopMembers(loop.registryLock)
    unsafe left = []
  }

  /// Those that are not freed. Others may read it under the registry lock.
  var open: [Handle] { members.all }

  func add(_ handle: Handle) {
    members.add(handle)
    created += 1
  }

  func noteClosed() { closed += 1 }

  func remove(_ handle: Handle) {
    freed += 1
    members.remove(handle)
  }

  /// The same for one that stays on libuv's loop, with its memory.
  func leaveOpen(_ handle: Handle) {
    unsafe left.append(handle.uvHandle)
    remove(handle)
  }

  /// Calls the handle's `beforePoll` once, before the next poll, however often it is asked for until then.
  func callBeforePoll(_ handle: Handle) {
    if handle.isCalledBeforePoll { return }
    handle.isCalledBeforePoll = true
    calledBeforePoll.append(handle)
  }

  func beforePoll() -> Bool {
    if calledBeforePoll.isEmpty { return false }
    let handles = calledBeforePoll
    calledBeforePoll = []
    for handle in handles {
      handle.isCalledBeforePoll = false
      if handle.beforePoll() { called.append(handle) }
    }
    return !called.isEmpty
  }

  func afterPoll() {
    if called.isEmpty { return }
    let handles = called
    called = []
    for handle in handles { handle.afterPoll() }
  }

  // libuv watches a descriptor for one handle of a loop at most, of whatever kind, and refuses a second one with
  // `EEXIST`.

  /// The active handle that watches the descriptor.
  func claimant(of descriptor: Int32) -> Handle? {
    open.first { $0.watchedDescriptor == descriptor && $0.state.isActive }
  }

  /// Makes a handle that watches it for nobody any more let go of it. O(n).
  func release(_ descriptor: Int32) {
    for handle in open where handle.watchedDescriptor == descriptor && !handle.state.isActive {
      handle.letGoOfDescriptor()
    }
  }

  /// Makes a handle for a descriptor, with libuv's status. Where libuv still watches the number for one that waits no
  /// more, it makes that let go first: the descriptor that it was for has been closed since.
  func afresh(_ descriptor: Int32, _ make: () -> Int32) -> Int32 {
    let status = make()
    if status != Int32(UV_EEXIST.rawValue) { return status }
    release(descriptor)
    return make()
  }

  func releaseWaits() {
    for handle in open { handle.releaseAllWaits() }
  }

  func close() {
    for handle in open { handle.close(by: .loop) }
  }

  var uvHandles: [UnsafeMutablePointer<uv_handle_t>] { unsafe left + open.map { unsafe $0.uvHandle } }

  var uvRequests: Int { open.reduce(0) { $0 + $1.uvRequests } }

  var isSettled: Bool { open.isEmpty }

  var isEmpty: Bool { unsafe open.isEmpty && left.isEmpty }
}

extension LoopCore {
  private static let handlesKey = ComponentKey<LoopHandles>()

  /// The registry of the loop's handles.
  var handles: LoopHandles { component(LoopCore.handlesKey) { LoopHandles($0) } }
}
