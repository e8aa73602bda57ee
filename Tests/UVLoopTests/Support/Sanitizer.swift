#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Which sanitizer watches this process.
enum Sanitizer {
  static let isThread = unsafe dlsym(nil, "__tsan_init") != nil
  static let isAddress = unsafe dlsym(nil, "__asan_init") != nil
}
