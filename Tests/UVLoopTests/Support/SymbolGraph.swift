import Foundation

/// What the compiler knows of the library's declarations.
struct SymbolGraph: Decodable {
  struct Symbol: Decodable {
    struct Comment: Decodable {}

    let pathComponents: [String]
    let docComment: Comment?
  }

  struct Relationship: Decodable {
    let kind: String
    let source: String
    let target: String
  }

  let symbols: [Symbol]
  let relationships: [Relationship]

  /// Of everything that is at least as visible as `access` says, without what conformances add by themselves.
  static func ofLibrary(_ access: String, _ module: String = "UVLoop") async throws -> SymbolGraph {
    try await withScratchFolder { folder in
      let outcome = try await SwiftCompiler.describeLibrary(module, access, in: folder)
      if outcome.status != 0 { throw SwiftCompiler.Failure(outcome.output) }
      // What a module adds to the types of another one is in a file of its own, `Module@Other.symbols.json`.
      let graphs = try Files.names(in: folder).filter { $0.hasSuffix(".symbols.json") }.map { name in
        try JSONDecoder().decode(
          SymbolGraph.self, from: try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
      }
      return SymbolGraph(symbols: graphs.flatMap(\.symbols), relationships: graphs.flatMap(\.relationships))
    }
  }
}
