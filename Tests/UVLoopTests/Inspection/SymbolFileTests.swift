#if os(Linux)
  import Testing

  @testable import UVLoop

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// Whose names an address gets while files come and go.
  @Suite(.alone) struct SymbolFileTests {
    private struct Missing: Error {}

    /// The file of a loaded library that has this function. Take one that does nothing when it is unloaded: functions
    /// that a copy calls by name are those of the first one.
    private static func file(of function: String) throws -> String {
      guard let place = unsafe dlsym(nil, function),
        let path = LoadedImages.withImage(at: UInt(bitPattern: place), \.path)
      else { throw Missing() }
      return path
    }

    /// Puts a copy of a file into the place of another, as a build does: the old one lives on for those that have it.
    private static func put(_ source: String, at path: String) throws {
      let (from, to) = unsafe (fopen(source, "r"), fopen("\(path).new", "w"))
      guard let from = unsafe from, let to = unsafe to else { throw Missing() }
      var chunk = [UInt8](repeating: 0, count: 65_536)
      while true {
        let count = unsafe fread(&chunk, 1, chunk.count, from)
        if count == 0 { break }
        unsafe fwrite(chunk, 1, count, to)
      }
      unsafe fclose(from)
      unsafe fclose(to)
      try #require(unsafe rename("\(path).new", path) == 0)
    }

    private static func address(of function: String, in library: UnsafeMutableRawPointer) throws -> UInt {
      guard let place = unsafe dlsym(library, function) else { throw Missing() }
      return UInt(bitPattern: place) + 1
    }

    @Test func `a library that takes another one's place has its own names`() async throws {
      try await withScratchFolder { folder in
        let path = "\(folder)/plugin.so"
        for function in ["_Unwind_GetIP", "cbrt", "_Unwind_GetIP"] {
          try Self.put(try Self.file(of: function), at: path)
          let library = unsafe try #require(dlopen(path, RTLD_NOW | RTLD_LOCAL))
          let address = unsafe try Self.address(of: function, in: library)
          let frame = try #require(Symbolicator.frames([address]).first)
          #expect(frame.function?.hasPrefix(function) == true && frame.image == "plugin.so", "\(frame)")
          _ = unsafe dlclose(library)
          #expect(try #require(Symbolicator.frames([address]).first).image != "plugin.so")
        }
      }
    }

    @Test func `a library whose file is another one by now has no names, and not wrong ones`() async throws {
      try await withScratchFolder { folder in
        let path = "\(folder)/plugin.so"
        try Self.put(try Self.file(of: "cbrt"), at: path)
        let library = unsafe try #require(dlopen(path, RTLD_NOW | RTLD_LOCAL))
        let address = unsafe try Self.address(of: "cbrt", in: library)
        #expect(Symbolicator.frames([address]).first?.function?.hasPrefix("cbrt") == true)
        // With code at every place that the smaller one has.
        try Self.put(try Self.file(of: "swift_retain"), at: path)
        let frame = try #require(Symbolicator.frames([address]).first)
        #expect(frame.function == nil && frame.image == "plugin.so", "\(frame)")
        #expect(unsafe unlink(path) == 0)
        #expect(Symbolicator.frames([address]).first?.function == nil)
        _ = unsafe dlclose(library)
      }
    }

    @Test func `the names of a place that is asked for again cost next to nothing`() {
      let addresses = CallStack.current(in: CallStack.own)
      let first = Symbolicator.frames(addresses)
      let before = MonotonicClock.now()
      for _ in 0..<100 { #expect(Symbolicator.frames(addresses) == first) }
      #expect(MonotonicClock.now() - before < 2_000_000_000)
    }
  }
#endif
