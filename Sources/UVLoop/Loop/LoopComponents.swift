import CLibUV
import Synchronization

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
