#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Plain memory that grows in place where the system can do that: of a large block Linux moves the pages to a larger
/// place, which costs a fraction of copying them to fresh ones.
///
/// For elements that can be moved bit by bit, which is all but weak references and what holds them.
enum GrowingBlock {
  static func make<Element: ~Copyable>(capacity: Int) -> UnsafeMutablePointer<Element> {
    unsafe reallocate(nil, to: capacity)
  }

  /// Answers where the block is now. Not `inout`: a property of a class that is ever passed so is looked after at run
  /// time wherever it is used.
  static func resize<Element: ~Copyable>(
    _ block: UnsafeMutablePointer<Element>, to capacity: Int
  ) -> UnsafeMutablePointer<Element> {
    unsafe reallocate(block, to: capacity)
  }

  static func free<Element: ~Copyable>(_ block: UnsafeMutablePointer<Element>) { unsafe release(block) }

  private static func reallocate<Element: ~Copyable>(
    _ block: UnsafeMutablePointer<Element>?, to capacity: Int
  ) -> UnsafeMutablePointer<Element> {
    // At least one byte: what `malloc` answers to zero is not a pointer everywhere.
    let size = max(1, capacity * MemoryLayout<Element>.stride)
    guard let memory = unsafe realloc(block, size) else {
      fatalError("UVLoop: the system has no \(size) bytes of memory left.")
    }
    return unsafe memory.assumingMemoryBound(to: Element.self)
  }

  private static func release(_ memory: UnsafeMutableRawPointer) {
    #if canImport(Glibc)
      unsafe Glibc.free(memory)
    #elseif canImport(Musl)
      unsafe Musl.free(memory)
    #else
      unsafe Darwin.free(memory)
    #endif
  }
}
