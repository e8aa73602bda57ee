import CLibUV
import Synchronization

/// What lives on a loop and takes part in its iterations and its end, without the core knowing what it is.
///
/// All calls come on the loop's thread.
protocol LoopComponent: AnyObject {
  /// Before each poll. True if something is due, so that the poll must not wait.
  func beforePoll() -> Bool
  /// On virtual time: whether nothing of it is under way elsewhere and will come back by itself.
  var hasNoWork: Bool { get }
  /// On virtual time: nothing but time is left to wait for. True if that has moved, or something has been made ready.
  func advanceIfIdle() -> Bool
  /// After each poll.
  func afterPoll()
  /// Shutdown, before anything else: stops taking on what others ask of the program, such as connections. What was
  /// accepted has not run yet.
  func quiesce()
  /// Shutdown, first part: resumes every wait with `loopClosed` and drops what will not happen.
  func releaseWaits()
  /// Shutdown, second part: closes what it owns.
  func close()
  /// Whether what shutdown waits for has ended.
  var isSettled: Bool { get }
  /// Whether nothing is left that uses the loop's memory.
  var isEmpty: Bool { get }
  /// The time that shutdown was given is over: cancels what has not begun.
  func cancelUnbegun()
  /// Its own handles on libuv's loop, but for those of the raw loop.
  var uvHandles: [UnsafeMutablePointer<uv_handle_t>] { get }
  /// How many requests of its own libuv has.
  var uvRequests: Int { get }
  /// Adds what is left.
  func report(into report: inout ShutdownReport)
}

extension LoopComponent {
  func beforePoll() -> Bool { false }
  var hasNoWork: Bool { true }
  func advanceIfIdle() -> Bool { false }
  func afterPoll() {}
  func quiesce() {}
  func releaseWaits() {}
  func close() {}
  var isSettled: Bool { true }
  var isEmpty: Bool { true }
  func cancelUnbegun() {}
  var uvHandles: [UnsafeMutablePointer<uv_handle_t>] { unsafe [] }
  var uvRequests: Int { 0 }
  func report(into report: inout ShutdownReport) {}
}

/// A component that any thread may make, for what is asked for anywhere. A loop keeps one, as long as it is there
/// itself; it takes part in the loop's life from its first use there on.
// Holds because a kind says which of its parts belong to the loop's thread.
class LoopCompanion: @unchecked Sendable {
  /// The loop has ended, though it may never have used this itself.
  func loopHasEnded() {}
}

/// The way to one component of a loop, declared beside it: a new one needs no change here.
struct ComponentKey<Component: LoopComponent>: Sendable {
  fileprivate let index = nextIndex.add(1, ordering: .relaxed).oldValue
}

/// One number for each type of component in the process.
private let nextIndex = Atomic(0)

/// The components of a loop. Belongs to the loop's thread, but for the lock and the companion.
///
/// By key in plain memory, so that what is asked for at every call is a load away: an array asks whether it is shared,
/// and a property of a class is looked after at run time.
@safe final class LoopComponents {
  private static let capacity = 32
  private let slots = UnsafeMutablePointer<AnyObject?>.allocate(capacity: LoopComponents.capacity)
  /// Guards the lists that the loop's thread owns and others may want to read.
  let registryLock = BiasedLock()
  /// In the order of their making. Others may read it under the registry lock.
  private(set) var all: [any LoopComponent] = []

  /// A component that other threads may make too, before the loop needs it.
  let companion = AtomicLazyReference<LoopCompanion>()

  init() {
    unsafe slots.initialize(repeating: nil, count: LoopComponents.capacity)
  }

  deinit {
    unsafe slots.deinitialize(count: LoopComponents.capacity)
    unsafe slots.deallocate()
  }

  /// The component with this key, if the loop has it.
  @inline(__always)
  func find<Component: LoopComponent>(_ key: ComponentKey<Component>) -> Component? {
    // Holds because what is under a key was made for it.
    unsafe slots[key.index].map { unsafe unsafeDowncast($0, to: Component.self) }
  }

  func add<Component: LoopComponent>(_ component: Component, _ key: ComponentKey<Component>) {
    precondition(key.index < LoopComponents.capacity, "a loop has at most 32 kinds of components")
    unsafe slots[key.index] = component
    registryLock.withOwnership { all.append(component) }
  }

  /// At the end of the loop. Components may refer to the core, and nothing calls them any more.
  func removeAll() {
    var leaving: [any LoopComponent] = []
    registryLock.withOwnership { swap(&leaving, &all) }
    for index in 0..<LoopComponents.capacity { unsafe slots[index] = nil }
    companion.load()?.loopHasEnded()
  }

  /// How many requests of the library's libuv has under way.
  var requests: Int { all.reduce(0) { $0 + $1.uvRequests } }

  /// The library's own handles on libuv's loop, but for those of the raw loop.
  var uvHandles: Set<UnsafeMutablePointer<uv_handle_t>> { unsafe Set(all.flatMap { unsafe $0.uvHandles }) }

  var areSettled: Bool { all.allSatisfy(\.isSettled) }
  var areEmpty: Bool { all.allSatisfy(\.isEmpty) }
}
