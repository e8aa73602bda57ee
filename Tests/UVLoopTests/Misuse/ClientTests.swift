import Testing

/// Whole programs of clients, built and run.
@Suite(.sideBySide) struct ClientTests {
  @Test func `A-17 a signal that the main thread blocks after a loop was started waits for the main thread`()
    async throws
  {
    try await expect(Fixture.of("A-17"), writes: "100 true\n")
  }

  @Test func `A-18 a client that is isolated to the main actor by default builds without a warning and runs`()
    async throws
  {
    try await expect(
      Fixture.of("A-18"), ["-default-isolation", "MainActor"], writes: "offloaded 4 true true true false\ntrue\n")
  }

  @Test func `A-19 post refuses another module's actor that was made a LoopActor`() async throws {
    try await expect(Fixture.of("A-19"), writes: "notOnLoop true\n")
  }
}

private func expect(
  _ fixtures: [Fixture], _ options: [String] = [], writes text: String, _ location: SourceLocation = #_sourceLocation
) async throws {
  let fixture = try #require(fixtures.first, sourceLocation: location)
  try await withScratchFolder { folder in
    let source = "\(folder)/\(fixture.name).swift"
    let program = "\(folder)/client"
    try Files.write(fixture.source(rejected: false), to: source)

    let build = try await SwiftCompiler.build([source], options, to: program)
    try #require(build.status == 0, "\(build.output)", sourceLocation: location)
    #expect(build.warnings.isEmpty, "\(build.output)", sourceLocation: location)

    let run = try await SwiftCompiler.run(program)
    #expect(run.status == 0, sourceLocation: location)
    #expect(run.output == text, sourceLocation: location)
  }
}
