#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The CPUs of this process, and threads that stay on one of them.
enum CPUs {
  /// Those that the process may use; none where the system does not say.
  static let allowed: [Int] = {
    var set = [UInt64](repeating: 0, count: 16)
    guard let get = unsafe function("sched_getaffinity"), unsafe get(0, 128, &set) >= 0 else { return [] }
    return (0..<1_024).filter { set[$0 / 64] >> ($0 % 64) & 1 == 1 }
  }()

  /// Keeps a thread, by the kernel's number, on one CPU; 0 is the calling thread.
  static func keep(_ thread: UInt64, on cpu: Int) {
    var set = [UInt64](repeating: 0, count: 16)
    set[cpu / 64] = 1 << (cpu % 64)
    let status = unsafe function("sched_setaffinity").map { unsafe $0(Int32(thread), 128, &set) }
    precondition(status == 0, "sched_setaffinity failed")
  }

  /// Both hide behind _GNU_SOURCE, so that Swift does not see them.
  private static func function(
    _ name: String
  ) -> (@convention(c) (Int32, Int, UnsafeMutablePointer<UInt64>) -> Int32)? {
    guard let address = unsafe dlsym(nil, name) else { return nil }
    return unsafe unsafeBitCast(
      address, to: (@convention(c) (Int32, Int, UnsafeMutablePointer<UInt64>) -> Int32).self)
  }
}
