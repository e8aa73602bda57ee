// What takes part in a loop without the core knowing what it is.

extension LoopCore {
  /// The component of this type, made at its first use. On the loop's thread.
  ///
  /// Its file declares how it is reached and made: a new one needs no change here.
  @inline(__always)
  func component<Component: LoopComponent, Failure>(
    _ make: (LoopCore) throws(Failure) -> Component
  ) throws(Failure) -> Component {
    let key = ObjectIdentifier(Component.self)
    var index = 0
    while index < components.count {
      // Holds because the key is its type.
      if keys[index] == key { return unsafe unsafeDowncast(components[index], to: Component.self) }
      index += 1
    }
    return try add(make)
  }

  @inline(never)
  private func add<Component: LoopComponent, Failure>(
    _ make: (LoopCore) throws(Failure) -> Component
  ) throws(Failure) -> Component {
    let component = try make(self)
    books.withOwnership { components.append(component) }
    keys.append(ObjectIdentifier(Component.self))
    watch.observer.didAdd(component)
    return component
  }

  /// At the end of the loop. Components may refer to the core, and nobody calls them any more.
  func removeComponents() {
    var leaving: [any LoopComponent] = []
    books.withOwnership { swap(&leaving, &components) }
    keys = []
  }
}
