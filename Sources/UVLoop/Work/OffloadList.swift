/// Offloaded calls in order, each of which knows its neighbours and so is taken out at once, wherever it is.
///
/// Guarded by the ledger's lock, with the links.
final class OffloadList {
  private var first: Offload?
  private var last: Offload?
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  func append(_ offload: Offload) {
    if let last {
      unsafe last.next = offload
      unsafe offload.previous = last
    } else {
      first = offload
    }
    last = offload
    count += 1
  }

  func popFirst() -> Offload? {
    guard let offload = first else { return nil }
    remove(offload)
    return offload
  }

  func remove(_ offload: Offload) {
    let (previous, next) = unsafe (offload.previous, offload.next)
    if let previous { unsafe previous.next = next } else { first = next }
    if let next { unsafe next.previous = previous } else { last = previous }
    unsafe offload.previous = nil
    unsafe offload.next = nil
    count -= 1
  }
}

extension OffloadList: Sequence {
  func makeIterator() -> some IteratorProtocol<Offload> {
    sequence(state: first) { next in
      defer { next = unsafe next?.next }
      return next
    }
  }
}
