#if os(Linux)
  import Testing

  /// A thread that loses its CPU between handing a job to a loop and waking it. For that it needs a library that is
  /// preloaded, and so a program of its own.
  @Suite struct LateWakeTests {
    /// In a release build: in a debug build whatever a function uses is kept until it returns.
    @Test func `G-23 a wake that comes when the loop has ended and is freed disturbs nobody`() async throws {
      try await withScratchFolder { folder in
        let sources = "\(SwiftCompiler.packageFolder)/Scripts/delays"
        let library = try await SwiftCompiler.run(
          "clang", ["-shared", "-fPIC", "\(sources)/delays.c", "-o", "\(folder)/delays.so"])
        try #require(library.status == 0, "\(library.output)")
        let build = try await SwiftCompiler.build(["\(sources)/late-wake.swift"], [], to: "\(folder)/client")
        try #require(build.status == 0, "\(build.output)")

        let run = try await SwiftCompiler.run(
          "env", ["DELAYS_ONE_IN=0", "LD_PRELOAD=\(folder)/delays.so", "\(folder)/client"])
        #expect(run.status == 0)
        #expect(run.output.hasSuffix("in time\n"), "\(run.output)")
      }
    }
  }
#endif
