internal import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Turns addresses into names that a person can read.
///
/// With a reader of our own and not the toolchain's `Runtime` module: see <doc:SamplesAreCopiesOfStacks>.
enum Symbolicator {
  struct Frame: Hashable, Sendable, CustomStringConvertible {
    /// The instruction.
    let address: UInt
    /// The function's name, demangled where it is one of Swift's; nil if nobody knows.
    let function: String?
    /// How far behind the function's start the instruction is, or behind the image's where the function is not known.
    let offset: UInt
    /// The file that holds the code, the last part of its path; nil if the address is in none.
    let image: String?
    /// Where the instruction is as that file counts, for `llvm-symbolizer --obj=<file> <address>`, which also tells the
    /// line.
    let imageAddress: UInt

    /// Function, offset and image in one line.
    var description: String {
      "\(function ?? "?") + \(offset) in \(image ?? "?") (0x\(String(imageAddress, radix: 16)))"
    }
  }

  /// One frame for each address, up to the function with which a loop's thread begins.
  ///
  /// The first address in a file takes milliseconds, in which the file's symbols are read; see ``SymbolCache``.
  static func frames(_ addresses: [UInt]) -> [Frame] {
    let frames = addresses.map(frame)
    return Array(frames.prefix { !($0.image != nil && $0.function?.contains("UVLoop.LoopThread") == true) })
  }

  #if os(Linux)
    private static func frame(_ address: UInt) -> Frame {
      guard let image = LoadedImages.withImage(at: address, { $0 }) else {
        return Frame(address: address, function: nil, offset: 0, image: nil, imageAddress: 0)
      }
      let place = address &- image.bias
      let function = SymbolCache.process.function(at: place, of: image)
      return Frame(
        address: address, function: function?.name, offset: place &- (function?.start ?? 0),
        image: lastPart(of: image.path.isEmpty ? CommandLine.arguments.first ?? "" : image.path), imageAddress: place)
    }
  #else
    private static func frame(_ address: UInt) -> Frame {
      var info = Dl_info()
      guard unsafe dladdr(UnsafeRawPointer(bitPattern: address), &info) != 0 else {
        return Frame(address: address, function: nil, offset: 0, image: nil, imageAddress: 0)
      }
      let base = UInt(bitPattern: unsafe info.dli_fbase)
      let start = UInt(bitPattern: unsafe info.dli_saddr ?? info.dli_fbase)
      let name = unsafe info.dli_sname.map { unsafe String(cString: $0) }
      let path = unsafe info.dli_fname.map { unsafe String(cString: $0) } ?? ""
      return Frame(
        address: address, function: name.map(demangled), offset: address &- start, image: lastPart(of: path),
        imageAddress: address &- base)
    }
  #endif

  private static func lastPart(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

  /// The name as it was before a linker saw it; the same if it is not one of Swift's.
  static func demangled(_ name: String) -> String {
    let length = name.utf8.count
    return unsafe name.withCString { mangled in
      guard let text = unsafe clibuv_swift_demangle(mangled, length, nil, nil, 0) else { return name }
      defer { unsafe free(text) }
      return withoutDiscriminators(unsafe String(cString: text))
    }
  }

  /// `(beat in _5F5FB6FCFC1054084AAB75E101F2CC3D)`, as the names of private functions are written, becomes `beat`.
  private static func withoutDiscriminators(_ text: String) -> String {
    var parts = text.split(separator: " in _", omittingEmptySubsequences: false)
    for index in parts.indices.dropFirst() {
      let digits = parts[index].prefix { $0.isHexDigit }
      guard digits.count == 32, parts[index].dropFirst(32).first == ")",
        let open = parts[index - 1].lastIndex(of: "(")
      else {
        parts[index] = " in _" + parts[index]
        continue
      }
      parts[index - 1].remove(at: open)
      parts[index] = parts[index].dropFirst(33)
    }
    return parts.joined()
  }
}
