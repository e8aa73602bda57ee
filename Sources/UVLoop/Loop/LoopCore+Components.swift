import Synchronization

// What takes part in a loop without the core knowing what it is.

/// The way to one component of a loop, declared beside it: a new one needs no change here.
struct ComponentKey<Component: LoopComponent>: Sendable {
  fileprivate let index = nextIndex.add(1, ordering: .relaxed).oldValue
}

/// One number for each type of component in the process.
private let nextIndex = Atomic(0)

/// The components of a loop by their key, so that what is asked for at every call is a load away. In plain memory: an
/// array asks whether it is shared, and a property of a class is looked after at run time.
@safe final class ComponentTable {
  private static let capacity = 32
  private let slots = UnsafeMutablePointer<AnyObject?>.allocate(capacity: ComponentTable.capacity)

  init() { unsafe slots.initialize(repeating: nil, count: ComponentTable.capacity) }

  deinit {
    unsafe slots.deinitialize(count: ComponentTable.capacity)
    unsafe slots.deallocate()
  }

  @inline(__always)
  subscript(index: Int) -> AnyObject? {
    get { unsafe slots[index] }
    set {
      precondition(index < ComponentTable.capacity, "a loop has at most 32 kinds of components")
      unsafe slots[index] = newValue
    }
  }

  func removeAll() {
    for index in 0..<ComponentTable.capacity { unsafe slots[index] = nil }
  }
}

extension LoopCore {
  /// The component with this key, made at its first use. On the loop's thread.
  @inline(__always)
  func component<Component: LoopComponent, Failure>(
    _ key: ComponentKey<Component>, _ make: (LoopCore) throws(Failure) -> Component
  ) throws(Failure) -> Component {
    // Holds because what is under a key was made for it.
    if let found = table[key.index] { return unsafe unsafeDowncast(found, to: Component.self) }
    return try add(key, make)
  }

  @inline(never)
  private func add<Component: LoopComponent, Failure>(
    _ key: ComponentKey<Component>, _ make: (LoopCore) throws(Failure) -> Component
  ) throws(Failure) -> Component {
    let component = try make(self)
    table[key.index] = component
    books.withOwnership { components.append(component) }
    watch.observer.didAdd(component)
    return component
  }

  /// At the end of the loop. Components may refer to the core, and nobody calls them any more.
  func removeComponents() {
    var leaving: [any LoopComponent] = []
    books.withOwnership { swap(&leaving, &components) }
    table.removeAll()
  }
}
