/// Memory that libuv reads or writes for a request, kept with it until its callback.
///
/// An array has no address that survives an `await`.
// Holds because one has it at a time: the request, and then its task.
@safe final class RequestBuffer: @unchecked Sendable {
  let start: UnsafeMutableRawPointer
  let count: Int

  init(count: Int) {
    unsafe start = .allocate(byteCount: count, alignment: 16)
    self.count = count
  }

  deinit { unsafe start.deallocate() }
}
