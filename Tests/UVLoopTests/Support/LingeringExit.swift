#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Holds the process at its exit, for exit tests only: after the destructors of libraries have run, which take down
/// what libuv's loops share, and before the other threads end. Without this they have some microseconds there.
enum LingeringExit {
  private static let ends: (read: Int32, write: Int32) = {
    var ends: [Int32] = [-1, -1]
    precondition(unsafe pipe(&ends) == 0, "pipe failed")
    return (ends[0], ends[1])
  }()

  /// Streams are flushed last of all. This one is that of a full pipe, from which nobody reads before 50 ms have
  /// passed.
  static func prepare() {
    let (_, writer) = ends
    _ = fcntl(writer, F_SETFL, O_NONBLOCK)
    var byte: UInt8 = 0
    while unsafe write(writer, &byte, 1) == 1 {}
    _ = fcntl(writer, F_SETFL, 0)
    guard let stream = unsafe fdopen(writer, "w") else { fatalError("fdopen failed") }
    unsafe fputs("held", stream)
    atexit {
      PlainThread {
        usleep(50_000)
        var bytes = [UInt8](repeating: 0, count: 65_536)
        _ = unsafe read(LingeringExit.ends.read, &bytes, bytes.count)
      }
    }
  }
}
