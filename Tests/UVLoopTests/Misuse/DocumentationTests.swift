import Testing

@Suite(.sideBySide) struct DocumentationTests {
  @Test(arguments: [("UVLoop", 250), ("UVLoopInstrumentation", 6)])
  func `every public symbol is documented`(_ module: String, _ least: Int) async throws {
    let symbols = try await SymbolGraph.ofLibrary("public", module).symbols
    #expect(symbols.count >= least, "only \(symbols.count) symbols")
    #expect(symbols.filter { $0.docComment == nil }.map { $0.pathComponents.joined(separator: ".") } == [])
  }
}
