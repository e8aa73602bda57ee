/// The waits that a shutdown must end itself: nobody else on the loop lists them. Belongs to the loop's thread.
final class LoopWaits {
  private let books: BiasedLock
  private var waits: [LoopWait] = []
  /// Set once shutdown has ended the waits. From then on none begins.
  private(set) var areReleased = false

  init(_ books: BiasedLock) { self.books = books }

  /// How many there are; guarded by the books.
  var count: Int { waits.count }

  func add(_ wait: LoopWait) {
    wait.place = waits.count
    books.withOwnership { waits.append(wait) }
  }

  func remove(_ wait: LoopWait) {
    let place = wait.place
    wait.place = -1
    let last = books.withOwnership {
      let last = waits.removeLast()
      if last !== wait { waits[place] = last }
      return last
    }
    if last !== wait { last.place = place }
  }

  /// Shutdown: every wait ends with `loopClosed`.
  func release() {
    areReleased = true
    for wait in waits { wait.close() }
  }
}
