import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The start of libuv's pool, which makes all of its threads at the first request that it gets.
///
/// The child of a fork has a pool of its own, and so what is noted here counts for one generation of the process.
enum PoolStart {
  /// The generation, counted from one, above; the size below. Zero until something is noted.
  private static let noted = Atomic<UInt64>(0)
  private static let begun = Atomic<UInt32>(0)

  private static var generation: UInt32 { ProcessGeneration.current &+ 1 }

  /// The number of threads that the pool has, or is about to get; nil if that may still change.
  static var size: Int? {
    let word = noted.load(ordering: .acquiring)
    return UInt32(truncatingIfNeeded: word >> 32) == generation ? Int(UInt32(truncatingIfNeeded: word)) : nil
  }

  /// From now on the pool is used.
  static func fixSize() -> Int {
    if let size { return size }
    let size = sizeFromEnvironment
    noted.store(UInt64(generation) << 32 | UInt64(size), ordering: .releasing)
    return size
  }

  /// As libuv reads it.
  static var sizeFromEnvironment: Int {
    guard let text = unsafe getenv("UV_THREADPOOL_SIZE") else { return 4 }
    // libuv stores the result unsigned: a negative number is a very large one.
    let number = unsafe atoi(text)
    return number == 0 ? 1 : number < 0 ? 1_024 : min(Int(number), 1_024)
  }

  /// Around the submission of each request that goes to the pool. Of two loops that come first at the same time either
  /// may be the one that makes the threads, and so both are careful.
  @inline(__always)
  static func around<R>(_ submit: () -> R) -> R {
    begun.load(ordering: .acquiring) == generation ? submit() : first(submit)
  }

  @inline(never)
  private static func first<R>(_ submit: () -> R) -> R {
    _ = fixSize()
    defer { begun.store(generation, ordering: .releasing) }
    return DetachedThread.asCreator(of: "libuv-worker", submit)
  }
}
