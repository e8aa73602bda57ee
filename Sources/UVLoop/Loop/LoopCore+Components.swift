import Synchronization

// What takes part in a loop without the core knowing what it is.

/// The way to one component of a loop, from the file that declares it.
///
/// A loop has one component of a key at most, made at its first use.
final class ComponentKey<Component: LoopComponent>: Sendable {
  fileprivate let index = nextIndex.add(1, ordering: .relaxed).oldValue
}

/// One number for each kind of component in the process.
private let nextIndex = Atomic(0)

extension LoopCore {
  /// The component with this key. On the loop's thread.
  @inline(__always)
  func component<Component: LoopComponent, Failure>(
    _ key: ComponentKey<Component>, _ make: (LoopCore) throws(Failure) -> Component
  ) throws(Failure) -> Component {
    // Holds because what is under a key was made for it.
    if key.index < keyed.count, let found = keyed[key.index] { return unsafe unsafeDowncast(found, to: Component.self) }
    return try add(key, make)
  }

  @inline(never)
  private func add<Component: LoopComponent, Failure>(
    _ key: ComponentKey<Component>, _ make: (LoopCore) throws(Failure) -> Component
  ) throws(Failure) -> Component {
    let component = try make(self)
    while keyed.count <= key.index { keyed.append(nil) }
    keyed[key.index] = component
    books.withOwnership { components.append(component) }
    watch.observer.didAdd(component)
    return component
  }

  /// At the end of the loop. Components may refer to the core, and nobody calls them any more.
  func removeComponents() {
    var leaving: [any LoopComponent] = []
    books.withOwnership { swap(&leaving, &components) }
    keyed = []
  }
}
