// The bytes that a task waits for lie in the loop's block, which all of its streams share. They are lent to it until
// the callback that brought them returns: a task that goes on at once takes them from there. What is not taken by then
// is copied into the stream, before another one can read into the block.

/// What has come to one stream and was not taken. Belongs to the loop's thread.
///
/// The reading side adds who waits for it. They are one object, since each is memory of every connection.
@safe class StreamBuffer {
  // Looked at with each read, these are only ever assigned: what a method changes in place is looked after at run time.

  /// Whose block it is.
  final let network: LoopNetwork
  /// What of the loop's block is this stream's right now.
  final private var lentStart = 0
  final private var lentEnd = 0
  /// What was read and not taken, and where it lies.
  final private var held: [UInt8] = []
  final private var heldStart = 0
  final private var heldEnd = 0
  /// Counts how often bytes were put in front of others, or taken out from there.
  final private(set) var version = 0

  init(_ network: LoopNetwork) { self.network = network }

  final var isEmpty: Bool { lentEnd == lentStart && heldEnd == heldStart }

  final var count: Int { heldEnd - heldStart + lentEnd - lentStart }

  /// Whether bytes lie in the loop's block.
  final var isLent: Bool { lentEnd > lentStart }

  /// So many bytes lie at the beginning of the loop's block.
  @inline(__always)
  final func came(_ count: Int) {
    lentEnd = count
    // Whoever waits for more has looked at what is held, and callbacks get that first.
    if heldEnd > heldStart { hold() }
  }

  /// Looks at what is there. `body` must not come back here.
  @inline(__always)
  final func withBytes<R, E>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    if lentEnd > lentStart {
      return try unsafe body(UnsafeRawBufferPointer(start: network.block + lentStart, count: lentEnd - lentStart))
    }
    let (held, start) = (held, heldStart)
    return try unsafe held.span.bytes.withUnsafeBytes { (bytes) throws(E) -> R in
      try unsafe body(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    }
  }

  /// Takes the first bytes, and lends them. Whoever uses them may do with the stream what it likes.
  @inline(__always)
  final func lend(_ limit: Int) -> LentBytes {
    if lentEnd > lentStart {
      // Nothing reads into the block before the callback has returned in which the task goes on.
      let bytes = unsafe UnsafeRawBufferPointer(
        start: network.block + lentStart, count: min(limit, lentEnd - lentStart))
      take(bytes.count)
      return unsafe LentBytes(bytes)
    }
    let bytes = LentBytes(held, heldStart..<heldStart + min(limit, heldEnd - heldStart))
    take(bytes.count)
    return bytes
  }

  /// The first of what is there has been used.
  final func take(_ count: Int) {
    if lentEnd > lentStart {
      lentStart += count
      if lentStart == lentEnd {
        (lentStart, lentEnd) = (0, 0)
      }
    } else {
      heldStart += count
      if heldStart >= heldEnd { letGo() }
    }
  }

  /// The first bytes, as an array.
  final func takeArray(_ limit: Int) -> [UInt8] {
    let bytes = unsafe withBytes { unsafe [UInt8](copying: $0, first: limit) }
    take(bytes.count)
    return bytes
  }

  final func takeArray(of piece: StreamPiece) -> [UInt8] {
    let bytes = unsafe withBytes { bytes in
      unsafe [UInt8](copying: UnsafeRawBufferPointer(rebasing: bytes[piece.body]), first: .max)
    }
    take(piece.consumed)
    return bytes
  }

  final func append(to buffer: inout [UInt8], _ limit: Int) -> Int {
    let count = unsafe withBytes { bytes in
      let first = unsafe UnsafeRawBufferPointer(rebasing: bytes.prefix(limit))
      unsafe buffer.append(contentsOf: first)
      return first.count
    }
    take(count)
    return count
  }

  final private func letGo() {
    if heldEnd > 0 { held = [] }
    (heldStart, heldEnd) = (0, 0)
  }

  /// Copies what is lent behind what is held.
  final func hold() {
    if lentEnd == lentStart { return }
    if heldStart > 0 {
      held.removeSubrange(..<heldStart)
      heldStart = 0
    }
    unsafe held.append(
      contentsOf: UnsafeRawBufferPointer(start: network.block + lentStart, count: lentEnd - lentStart))
    heldEnd = held.count
    (lentStart, lentEnd) = (0, 0)
  }

  /// Puts bytes before all others.
  final func putFirst(_ bytes: [UInt8]) {
    hold()
    held.replaceSubrange(..<heldStart, with: bytes)
    heldStart = 0
    heldEnd = held.count
    version += 1
  }

  /// All of them.
  final func takeAll() -> [UInt8] {
    hold()
    // A task that waits for more looks at what comes from its beginning.
    version += 1
    defer { letGo() }
    return heldStart == 0 ? held : Array(held[heldStart...])
  }

  final func removeAll() {
    letGo()
    (lentStart, lentEnd) = (0, 0)
  }
}
