import CLibUV

@testable import UVLoop

extension RequestKind {
  static let random = RequestKind(rawValue: "random")
}

extension EventLoop {
  /// Random bytes, from libuv's pool: a request as one is added to the library.
  func random(
    _ count: Int, keeping witness: Witness? = nil, isolation: isolated (any Actor)? = #isolation,
    unwanted: (@Sendable (Int32) -> Void)? = nil
  ) async throws -> [UInt8] {
    if count < 0 { throw UVError(.invalidArgument, call: "EventLoop.random", "A count of \(count) is not possible.") }
    let buffer = RequestBuffer(count: count)
    _ = unsafe try await probe.request(
      .random, UV_RANDOM, "EventLoop.random", keeping: Kept(buffer, witness), unwanted: unwanted
    ) { loop, memory in
      unsafe uv_random(
        loop, memory.bindMemory(to: uv_random_t.self, capacity: 1), buffer.start, buffer.count, 0
      ) { request, status, _, _ in unsafe PendingRequest.finish(request?.pointee.data, status) }
    }
    return unsafe Array(UnsafeRawBufferPointer(start: buffer.start, count: count))
  }

  private final class Kept: Sendable {
    let buffer: RequestBuffer
    let witness: Witness?

    init(_ buffer: RequestBuffer, _ witness: Witness?) {
      self.buffer = buffer
      self.witness = witness
    }
  }
}
