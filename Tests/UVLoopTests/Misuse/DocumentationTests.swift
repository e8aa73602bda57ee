import Testing

@Suite struct DocumentationTests {
  @Test func `every public symbol is documented`() async throws {
    let symbols = try await SymbolGraph.ofLibrary("public").symbols
    #expect(symbols.count > 250, "only \(symbols.count) symbols")
    #expect(symbols.filter { $0.docComment == nil }.map { $0.pathComponents.joined(separator: ".") } == [])
  }
}
