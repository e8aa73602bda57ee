/// Connections of a group's listener that nobody has, and the tasks that wait in `accept`.
///
/// A wait can be resumed on its own loop alone, where it may have ended meanwhile. So it is called first, and gets a
/// connection there: until then the connection is here, where the end of its loop finds it.
struct AcceptQueue {
  private var waiters = Waiters()
  private var ready: [ByteStream] = []
  /// Waits that were called, for each of which one of the connections is kept.
  private var called = 0

  var isAwaited: Bool { !waiters.isEmpty }
  var awaited: Int { waiters.count }
  var isEmpty: Bool { ready.isEmpty }
  var count: Int { ready.count }

  mutating func append(_ wait: LoopWait) { waiters.append(wait) }

  /// One that has ended.
  mutating func remove(_ wait: LoopWait) { waiters.remove(wait) }

  mutating func append(_ stream: ByteStream) { ready.append(stream) }

  /// For who comes now, where there is one more than those that were called will take.
  mutating func next() -> ByteStream? { ready.count > called ? popReady() : nil }

  /// Whoever has waited longest, if there is a connection to be had. It is to be called.
  mutating func nextToCall() -> LoopWait? {
    if ready.count <= called { return nil }
    let wait = waiters.popFirst()
    if wait != nil { called += 1 }
    return wait
  }

  /// One that was called has come, on its loop: what it gets, if there is something left. One that has ended gets
  /// nothing.
  mutating func take(for wait: LoopWait) -> ByteStream? {
    called -= 1
    return wait.end == nil ? popReady() : nil
  }

  /// One that was called will not come: its loop has ended.
  mutating func callFailed() { called -= 1 }

  /// A connection whose loop has ended meanwhile is of no use to anybody.
  private mutating func popReady() -> ByteStream? {
    while !ready.isEmpty {
      let stream = ready.removeFirst()
      if !stream.isClosed { return stream }
    }
    return nil
  }

  /// The first one that somebody else has a use for.
  mutating func takeFirst<Use>(_ use: (ByteStream) -> Use?) -> (stream: ByteStream, use: Use)? {
    for (index, stream) in ready.enumerated() {
      if let use = use(stream) {
        ready.remove(at: index)
        return (stream, use)
      }
    }
    return nil
  }

  /// Up to so many of a loop's.
  mutating func take(of loop: LoopCore, _ limit: Int = .max) -> [ByteStream] {
    let streams = Array(ready.lazy.filter { $0.inner.loop === loop }.prefix(limit))
    ready.removeAll { stream in streams.contains { $0 === stream } }
    return streams
  }

  /// Everything and everybody, but for those who were called.
  mutating func takeAll() -> (waiters: Waiters, streams: [ByteStream]) {
    defer { ready = [] }
    return (waiters.take(), ready)
  }
}
