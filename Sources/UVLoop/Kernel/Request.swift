import CLibUV

// idle ──submit──▶ in flight ──complete──▶ idle
//                      │  ▲
//                      └──┘ cancel: only asks; the callback still comes, and is the only end

/// The memory of one libuv request and the life that goes with it. Requests are never closed: the memory is ours again
/// in the callback, which always comes, also after a cancel.
@safe struct Request: ~Copyable {
  private let memory: UnsafeMutableRawPointer
  private(set) var isInFlight = false

  init(_ type: uv_req_type) {
    unsafe memory = .allocate(byteCount: uv_req_size(type), alignment: 16)
  }

  deinit {
    // The callback comes first, since whoever owns the request is kept for as long as it is in flight.
    if isInFlight { fatalError("UVLoop: the memory of a request was about to be freed while libuv uses it.") }
    unsafe memory.deallocate()
  }

  /// Submits it; `owner` is kept until ``complete(_:)``. Where libuv refuses there is no callback and nothing is kept.
  mutating func submit(
    for owner: AnyObject, _ start: (UnsafeMutableRawPointer) -> Int32
  ) -> Int32 {
    let data = unsafe Unmanaged.passRetained(owner)
    unsafe memory.assumingMemoryBound(to: uv_req_t.self).pointee.data = unsafe data.toOpaque()
    let status = unsafe start(memory)
    isInFlight = status >= 0
    if !isInFlight { unsafe data.release() }
    return status
  }

  /// Asks libuv to take it out of the queue; false if it has begun, or ended.
  func cancel() -> Bool {
    if !isInFlight { return false }
    return unsafe uv_cancel(memory.assumingMemoryBound(to: uv_req_t.self)) == 0
  }

  /// In the callback, once.
  mutating func complete() { isInFlight = false }

  /// The owner, in the callback; it is the caller's to keep now.
  static func finish<Owner: AnyObject>(_ data: UnsafeMutableRawPointer?, as: Owner.Type) -> Owner? {
    unsafe data.map { unsafe Unmanaged<Owner>.fromOpaque($0).takeRetainedValue() }
  }
}
