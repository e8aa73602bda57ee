// libuv's statuses: negative is a failure, everything else is a result.

/// Throws a negative status as an error, and gives any other one back.
///
/// Call and hint are evaluated on failure only, so that the successful path allocates nothing.
///
/// - Parameters:
///   - status: What a libuv function returned.
///   - call: The public call that is running, as its caller wrote it: `TimerHandle.start`.
///   - hint: A whole sentence about what to do instead.
/// - Throws: ``UVError`` with libuv's own code.
@inline(__always)
@discardableResult
func check(
  _ status: Int32,
  _ call: @autoclosure () -> String,
  hint: @autoclosure () -> String? = nil
) throws(UVError) -> Int32 {
  if status < 0 { throw UVError(status: status, call: call(), hint: hint()) }
  return status
}
