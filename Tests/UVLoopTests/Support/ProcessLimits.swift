import CLibUV

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One of the kernel's limits for this process, to be changed and restored. For exit tests only.
struct ProcessLimit {
  private let kind: __rlimit_resource_t
  private let before: rlimit

  private init(_ kind: __rlimit_resource) {
    self.kind = __rlimit_resource_t(kind.rawValue)
    var limit = rlimit()
    unsafe getrlimit(self.kind, &limit)
    before = limit
  }

  static var descriptors: ProcessLimit { ProcessLimit(RLIMIT_NOFILE) }
  static var addressSpace: ProcessLimit { ProcessLimit(RLIMIT_AS) }

  func lower(to value: Int) {
    var limit = before
    limit.rlim_cur = rlim_t(value)
    let status = unsafe setrlimit(kind, &limit)
    precondition(status == 0, "setrlimit failed with errno \(Posix.errno)")
  }

  /// As far as a process may do it by itself; the value that holds then.
  func raise() -> Int {
    var limit = before
    limit.rlim_cur = limit.rlim_max
    unsafe setrlimit(kind, &limit)
    unsafe getrlimit(kind, &limit)
    return Int(clamping: limit.rlim_cur)
  }

  func restore() {
    var limit = before
    unsafe setrlimit(kind, &limit)
  }

  /// For descriptors: lowers the limit until just so many numbers are free below it.
  func leave(_ count: Int) {
    var free = count
    var number: Int32 = 0
    while free > 0 || Posix.isOpen(number) {
      if !Posix.isOpen(number) { free -= 1 }
      number += 1
    }
    lower(to: Int(number))
  }
}

extension Process {
  /// The open descriptors, each with what it is, so that a number that was used again is another one. Without timers of
  /// the kernel's: Swift makes those for its own sleeps, when it first needs them, and no loop has one.
  static var loopDescriptors: Set<String> {
    let all = descriptors.map { descriptor in
      var bytes = [CChar](repeating: 0, count: 256)
      let count = unsafe readlink("/proc/self/fd/\(descriptor)", &bytes, bytes.count)
      let target = String(decoding: bytes[..<max(0, count)].map(UInt8.init(bitPattern:)), as: UTF8.self)
      return "\(descriptor) \(target)"
    }
    return Set(all.filter { !$0.contains("timerfd") })
  }

  /// The size of the address space in bytes.
  static var virtualBytes: Int {
    let fields = contents(of: "/proc/self/statm").split(separator: " ")
    return (fields.first.flatMap { Int($0) } ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// What `malloc` has handed out and not got back, in bytes; nil where the C library does not say.
  static var allocatedBytes: Int? {
    guard let symbol = unsafe dlsym(nil, "malloc_info"), let file = unsafe tmpfile() else { return nil }
    defer { _ = unsafe fclose(file) }
    let describe = unsafe unsafeBitCast(
      symbol, to: (@convention(c) (Int32, UnsafeMutableRawPointer) -> Int32).self)
    if unsafe describe(0, UnsafeMutableRawPointer(file)) != 0 { return nil }
    unsafe rewind(file)
    var bytes = [UInt8](repeating: 0, count: 1_048_576)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    // The last of each kind is the sum over all arenas.
    func last(_ element: String) -> Int? {
      let line = text.split(separator: "\n").last { $0.contains(element) }
      return line?.split(separator: "size=\"").last?.split(separator: "\"").first.flatMap { Int($0) }
    }
    guard
      let system = last("<system type=\"current\""), let fast = last("<total type=\"fast\""),
      let rest = last("<total type=\"rest\""), let mapped = last("<total type=\"mmap\"")
    else { return nil }
    return system - fast - rest + mapped
  }
}
