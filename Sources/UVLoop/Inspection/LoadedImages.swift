internal import CLibUV

/// A file whose code is part of this process, while it is being looked at.
struct LoadedImage {
  /// What to add to an address in the file.
  let bias: UInt
  /// Empty for the program itself.
  let path: String
  /// The bytes that say how its file is loaded.
  let headers: [UInt8]
  /// What of it is in memory and can be read.
  let readable: [Range<UInt>]
  let code: [Range<UInt>]
  /// Where the table of its functions' frames begins.
  let frames: UInt?

  func isCode(_ address: UInt) -> Bool { code.contains { $0.contains(address) } }
}

/// The program and its libraries, as the loader lists them.
enum LoadedImages {
  #if os(Linux)
    private final class Visit {
      let address: UInt
      let body: (LoadedImage) -> Void

      init(_ address: UInt, _ body: @escaping (LoadedImage) -> Void) {
        self.address = address
        self.body = body
      }
    }

    /// Runs `body` with the image that the address is in; nil if there is none. The image stays while `body` runs: the
    /// loader lets nobody unload one meanwhile.
    static func withImage<R>(at address: UInt, _ body: (LoadedImage) -> R) -> R? {
      var result: R?
      withoutActuallyEscaping(body) { body in
        let visit = Visit(address) { result = body($0) }
        withExtendedLifetime(visit) {
          _ = unsafe clibuv_each_image(
            { image, _, context in
              guard let image = unsafe image, let context = unsafe context else { return 0 }
              let visit = unsafe Unmanaged<Visit>.fromOpaque(context).takeUnretainedValue()
              guard let found = unsafe LoadedImages.image(image.pointee, around: visit.address) else { return 0 }
              visit.body(found)
              return 1
            }, Unmanaged.passUnretained(visit).toOpaque())
        }
      }
      return result
    }

    private static func image(_ raw: clibuv_image, around address: UInt) -> LoadedImage? {
      let headers = unsafe UnsafeBufferPointer(start: raw.headers, count: Int(raw.header_count))
      let bias = unsafe raw.bias
      func range(_ header: Elf64_Phdr) -> Range<UInt> {
        let start = bias &+ UInt(header.p_vaddr)
        let (end, overflow) = start.addingReportingOverflow(UInt(header.p_memsz))
        return start..<(overflow ? start : end)
      }
      if unsafe !headers.contains(where: { $0.p_type == UInt32(PT_LOAD) && range($0).contains(address) }) { return nil }
      let loaded = unsafe headers.filter { $0.p_type == UInt32(PT_LOAD) }
      let frames = unsafe headers.first { $0.p_type == UInt32(PT_GNU_EH_FRAME) }
      return unsafe LoadedImage(
        bias: bias, path: raw.path.map { unsafe String(cString: $0) } ?? "",
        headers: Array(UnsafeRawBufferPointer(headers)),
        readable: loaded.filter { $0.p_flags & UInt32(PF_R) != 0 }.map(range),
        code: loaded.filter { $0.p_flags & UInt32(PF_X) != 0 }.map(range),
        frames: frames.map { range($0).lowerBound })
    }
  #else
    static func withImage<R>(at address: UInt, _ body: (LoadedImage) -> R) -> R? { nil }
  #endif
}
