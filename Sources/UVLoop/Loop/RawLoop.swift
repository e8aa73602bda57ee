import CLibUV
import Synchronization

/// The `uv_loop_t` and the handles that make it a loop of ours: the waker, the hooks before and after the poll, the
/// timer that drives the clock.
///
/// Everything here is used by the loop's creator until its thread starts, and by that thread alone from then on. The
/// memory of the `uv_loop_t` lives as long as this object, since C neighbours may still hold the pointer.
@safe final class RawLoop {
  let loop: UnsafeMutablePointer<uv_loop_t>
  private var handles: [UnsafeMutablePointer<uv_handle_t>]
  private var waker: UnsafeMutablePointer<uv_handle_t>?

  init() throws(UVError) {
    unsafe handles = []
    try RawLoop.requireDescriptors()
    let memory = UnsafeMutableRawPointer.allocate(byteCount: uv_loop_size(), alignment: 16)
    unsafe loop = memory.bindMemory(to: uv_loop_t.self, capacity: 1)
    // Where this throws every stored property has its value, so that `deinit` runs and frees the memory.
    unsafe try check(uv_loop_init(loop), "EventLoop.init", hint: "A loop needs five descriptors; see `ulimit -n`.")
    ExitGuard.register()
    RawLoop.hasMadeLoop.store(true, ordering: .relaxed)
  }

  deinit { unsafe UnsafeMutableRawPointer(loop).deallocate() }

  /// Makes sure beforehand, as well as other threads allow, that `uv_loop_init` does not fail half-way: then it leaks
  /// its epoll descriptor, and the first one of a process, which makes a pipe for all signal handlers, aborts.
  private static func requireDescriptors() throws(UVError) {
    var taken: [Int32] = []
    defer { for descriptor in taken { Posix.close(descriptor) } }
    for _ in 0..<(hasMadeLoop.load(ordering: .relaxed) ? 5 : 7) {
      let descriptor = Posix.openNull()
      if descriptor < 0 {
        throw UVError(
          status: -Posix.errno, call: "EventLoop.init",
          hint: "The first loop of a process needs seven descriptors, a later one five; see `ulimit -n`.")
      }
      taken.append(descriptor)
    }
  }

  private static let hasMadeLoop = Atomic<Bool>(false)

  /// Allocates and initialises an internal handle. Where `initialise` fails, the memory is freed and nothing is left.
  ///
  /// - Parameters:
  ///   - owner: What the handle's `data` refers to. It is not kept.
  ///   - isWaker: Only the waker is referenced: it keeps `uv_run` from returning while there is nothing to do.
  func open<Handle>(
    _ type: uv_handle_type, as: Handle.Type, _ call: StaticString, for owner: AnyObject? = nil, isWaker: Bool = false,
    _ initialise: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutablePointer<Handle>) -> Int32
  ) throws(UVError) -> UnsafeMutablePointer<Handle> {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: uv_handle_size(type), alignment: 16)
    let handle = unsafe memory.bindMemory(to: Handle.self, capacity: 1)
    do throws(UVError) {
      unsafe try check(initialise(loop, handle), "\(call)")
    } catch {
      unsafe memory.deallocate()
      throw error
    }
    let base = unsafe memory.assumingMemoryBound(to: uv_handle_t.self)
    unsafe base.pointee.data = owner.map { unsafe Unmanaged.passUnretained($0).toOpaque() }
    unsafe handles.append(base)
    if isWaker { unsafe waker = base } else { unsafe uv_unref(base) }
    return unsafe handle
  }

  /// Whether requests of C neighbours are under way, or handles of theirs: libuv counts the requests and lists none.
  var isUsedByOthers: Bool {
    guard let waker = unsafe waker else { return false }
    unsafe uv_unref(waker)
    defer { unsafe uv_ref(waker) }
    return unsafe uv_loop_alive(loop) != 0
  }

  /// How many requests libuv has under way, whoever made them. It counts them in a member that is not documented, and
  /// that all versions of 1.x have, since programs are compiled against it.
  var requests: Int { unsafe Int(loop.pointee.active_reqs.count) }

  /// Whether anything but these is active on the loop, or closing: what libuv calls alive, and the handles that their
  /// owners have unreferenced, which it leaves out.
  var awaitsOthers: Bool {
    if isUsedByOthers { return true }
    var isFound = false
    unsafe visitOthers { if unsafe uv_is_active($0) != 0 { isFound = true } }
    return isFound
  }

  /// Calls `body` with each handle on the loop, open or closing, but these.
  func visitOthers(_ body: (UnsafeMutablePointer<uv_handle_t>) -> Void) {
    unsafe withoutActuallyEscaping(body) { body in
      var visit = { (handle: UnsafeMutablePointer<uv_handle_t>) in
        if unsafe !self.owns(handle) { unsafe body(handle) }
      }
      unsafe withUnsafeMutablePointer(to: &visit) { visit in
        unsafe uv_walk(
          loop,
          { handle, argument in
            let visit = unsafe argument?.assumingMemoryBound(to: ((UnsafeMutablePointer<uv_handle_t>) -> Void).self)
            if let handle = unsafe handle { unsafe visit?.pointee(handle) }
          }, visit)
      }
    }
  }

  /// Whether libuv has something to do at once: a descriptor that is ready, or has yet to be handed to the kernel, a
  /// due timer, a closing handle.
  ///
  /// `uv_backend_timeout` is zero for a descriptor of the second kind (`core.c`), and `uv_run` waits nevertheless.
  var isReady: Bool {
    unsafe uv_update_time(loop)
    return unsafe uv_backend_timeout(loop) == 0 || Posix.isReadable(uv_backend_fd(loop))
  }

  /// Whether the handle is one of these.
  func owns(_ handle: UnsafeMutablePointer<uv_handle_t>) -> Bool { unsafe handles.contains(handle) }

  /// Closes the internal handles, runs the loop until they are gone, and closes the loop.
  ///
  /// Called when nothing else is left on the loop. `uv_loop_close` refuses only if something is; going on would free
  /// memory in use, and there is nobody to tell.
  func close() {
    unsafe waker = nil
    unsafe handles.forEach { handle in
      unsafe uv_close(handle) { unsafe UnsafeMutableRawPointer($0)?.deallocate() }
    }
    unsafe handles.removeAll()
    while unsafe uv_run(loop, UV_RUN_DEFAULT) != 0 {}
    let status = unsafe uv_loop_close(loop)
    if status != 0 {
      fatalError(
        "UVLoop: uv_loop_close answered \(UVError(status: status, call: "uv_loop_close")) at the end of a loop.")
    }
  }
}
