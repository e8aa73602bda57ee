/// Bytes that a stream lends: in the loop's block, or in an array of its own.
///
/// In the block they are good until the task that has them waits again.
@usableFromInline
@safe struct LentBytes {
  @usableFromInline let block: UnsafeRawBufferPointer
  @usableFromInline let array: [UInt8]
  @usableFromInline let range: Range<Int>

  init(_ block: UnsafeRawBufferPointer) {
    unsafe self.block = block
    array = []
    range = 0..<0
  }

  init(_ array: [UInt8], _ range: Range<Int>) {
    unsafe block = UnsafeRawBufferPointer(start: nil, count: 0)
    self.array = array
    self.range = range
  }

  var count: Int { unsafe block.count + range.count }

  @inlinable
  @inline(__always)
  func use<R, E>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    if range.isEmpty { return try body(unsafe block.bytes) }
    return try body(unsafe array.span.bytes.extracting(range))
  }
}

extension [UInt8] {
  /// Copies in one go.
  @inline(__always)
  init(copying bytes: UnsafeRawBufferPointer, first count: Int) {
    let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    unsafe self.init(UnsafeBufferPointer(start: start, count: Swift.min(bytes.count, count)))
  }
}
