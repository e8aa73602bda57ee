// The clock that all deadlines are measured with.

internal import CLibUV

/// libuv's monotonic clock, read fresh each time: the loop's own `uv_now` is cached and cut to milliseconds.
enum MonotonicClock {
  /// Nanoseconds since a fixed, unknown instant; on Linux it stands still while the machine sleeps.
  ///
  /// Signed, so that two instants can be subtracted in either order; the sign bit is 292 years away.
  ///
  /// > libuv: `uv_hrtime`, which may be called on any thread.
  @inline(__always)
  static func now() -> Int64 { Int64(truncatingIfNeeded: uv_hrtime()) }
}
