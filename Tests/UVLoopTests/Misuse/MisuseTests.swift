import Testing

/// What must not compile, and what must. One compiler at a time, since others share the machine.
@Suite(.sideBySide) struct MisuseTests {
  @Test(arguments: Fixture.of("A-11"))
  func `A-11 what belongs to a loop cannot be created off it`(_ fixture: Fixture) async throws {
    try await expectRejected(fixture)
  }

  @Test(arguments: Fixture.of("A-12"))
  func `A-12 a handle cannot escape from its loop`(_ fixture: Fixture) async throws {
    try await expectRejected(fixture)
  }

  @Test func `A-13 handles as state, in callbacks, across awaits and under sequences compile`() async throws {
    let fixtures = Fixture.of("A-13")
    #expect(fixtures.count >= 4)
    try await expectAccepted(fixtures)
  }

  @Test(arguments: Fixture.of("B-11"))
  func `B-11 a result that the loop still holds is rejected, and so is another error than the typed one`(
    _ fixture: Fixture
  ) async throws {
    try await expectRejected(fixture)
  }

  @Test(arguments: Fixture.of("B-19"))
  func `B-19 a call that blocks is rejected in an async function`(_ fixture: Fixture) async throws {
    try await expectRejected(fixture)
  }

  @Test(arguments: Fixture.of("C-04"))
  func `C-04 an async closure and what stays shared are rejected by offload`(_ fixture: Fixture) async throws {
    try await expectRejected(fixture)
  }

  @Test(arguments: Fixture.of("H-08"))
  func `H-08 a callback that throws is rejected`(_ fixture: Fixture) async throws {
    try await expectRejected(fixture)
  }

  @Test(arguments: Fixture.of("L-77"))
  func `L-77 what a stream does without a wait is rejected off the loop`(_ fixture: Fixture) async throws {
    try await expectRejected(fixture)
  }

  @Test(arguments: Fixture.of("network"))
  func `streams off their loop, borrowed bytes kept, and descriptors used twice are rejected`(
    _ fixture: Fixture
  ) async throws {
    try await expectRejected(fixture)
  }

  @Test(arguments: Fixture.of("names"))
  func `a client sees no name of libuv's`(_ fixture: Fixture) async throws {
    try await expectRejected(fixture)
  }

  /// Holes of the compiler's. Code that falls into one is wrong and compiles; the rules say so.
  @Test(arguments: Fixture.of("holes"))
  func `what the rules call a hole of the compiler's is still open`(_ fixture: Fixture) async throws {
    try await expectAccepted(
      [fixture], "The compiler sees this now: take it out of TheRules.md, and close its page in Decisions.")
  }

  @Test func `the accepted twin of every rejected program compiles`() async throws {
    try await expectAccepted(Fixture.all.filter(\.isRejected))
  }

  @Test func `at least 20 programs are rejected, each one line away from its twin`() {
    let rejected = Fixture.all.filter(\.isRejected)
    #expect(rejected.count >= 20)
    for group in ["A-11", "A-12", "B-11", "B-19", "C-04", "H-08", "L-77", "names", "network"] {
      #expect(!Fixture.of(group).isEmpty && Fixture.of(group).allSatisfy(\.isRejected), "\(group)")
    }
    for fixture in rejected { #expect(fixture.differences == (1, 1), "\(fixture.name)") }
  }
}

private func expectRejected(_ fixture: Fixture, _ location: SourceLocation = #_sourceLocation) async throws {
  let outcome = try await withScratchFolder { folder in
    let file = "\(folder)/\(fixture.name).swift"
    try Files.write(fixture.source(rejected: true), to: file)
    return try await SwiftCompiler.check([file])
  }
  #expect(outcome.status != 0, "it compiles", sourceLocation: location)
  for diagnostic in fixture.diagnostics {
    #expect(
      outcome.errors.contains { $0.contains(diagnostic) }, "no error says \(diagnostic): \(outcome.output)",
      sourceLocation: location)
  }
  for error in outcome.errors {
    #expect(
      fixture.diagnostics.contains { error.contains($0) }, "not expected: \(outcome.output)", sourceLocation: location)
  }
}

private func expectAccepted(
  _ fixtures: [Fixture], _ hint: String = "", _ location: SourceLocation = #_sourceLocation
) async throws {
  let outcome = try await withScratchFolder { folder in
    let files = try fixtures.map { fixture in
      let file = "\(folder)/\(fixture.name).swift"
      try Files.write(fixture.source(rejected: false), to: file)
      return file
    }
    return try await SwiftCompiler.check(files)
  }
  #expect(outcome.status == 0, "\(hint)\(outcome.output)", sourceLocation: location)
  #expect(outcome.errors.isEmpty, "\(hint)\(outcome.output)", sourceLocation: location)
}
