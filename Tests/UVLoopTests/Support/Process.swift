import CLibUV

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the kernel knows of this process.
enum Process {
  /// The kernel ids of all threads.
  static var threads: Set<UInt64> { Set(names(in: "/proc/self/task").compactMap(UInt64.init)) }

  /// The open descriptors, without the one that lists them.
  static var descriptors: Set<Int32> {
    Set(names(in: "/proc/self/fd").compactMap(Int32.init).filter { Posix.isOpen($0) })
  }

  /// Whether the process has the timer behind `Task.sleep`, that of the boot-time clock (7 in Linux's `time.h`).
  static var hasSleepTimer: Bool {
    #if os(Linux)
      descriptors.contains { contents(of: "/proc/self/fdinfo/\($0)").contains("clockid: 7") }
    #else
      true
    #endif
  }

  /// Nanoseconds of CPU time that the calling thread has used.
  static var ownCPUTime: Int64 {
    var time = clibuv_timespec(0)
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return clibuv_nanoseconds(time)
  }

  /// Resident memory in bytes.
  static var residentBytes: Int {
    let fields = contents(of: "/proc/self/statm").split(separator: " ")
    return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  static func contents(of path: String) -> String {
    guard let file = unsafe fopen(path, "r") else { return "" }
    defer { _ = unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  private static func names(in folder: String) -> [String] {
    guard let stream = unsafe opendir(folder) else { return [] }
    defer { _ = unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
      }
      names.append(name)
    }
    return names
  }
}

/// A plain thread of the test's own, not one of Swift's pool.
final class PlainThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let done = Event("the end of a plain thread")

  @discardableResult
  init(_ run: @escaping @Sendable () -> Void) {
    let done = done
    let body = Body {
      run()
      done.signal()
    }
    let argument = unsafe Unmanaged.passRetained(body).toOpaque()
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, &attributes,
      { argument in
        if let argument = unsafe argument { unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, argument)
    unsafe pthread_attr_destroy(&attributes)
    precondition(status == 0, "pthread_create failed with \(status)")
  }

  /// Waits until the thread's body has returned.
  func join(within limit: Duration = .seconds(30)) async throws { try await done.wait(within: limit) }
}

/// Runs `body` on a plain thread and gives its result.
func onPlainThread<R: Sendable>(
  within limit: Duration = .seconds(30), _ body: @escaping @Sendable () throws -> R
) async throws -> R {
  let result = Shared<Result<R, any Error>?>(nil)
  let thread = PlainThread { result.value = Result { try body() } }
  try await thread.join(within: limit)
  guard let outcome = result.value else { throw Event.TimedOut(description: "a plain thread gave no result") }
  return try outcome.get()
}
