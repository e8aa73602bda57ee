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
  static func ofLibrary(_ access: String) async throws -> SymbolGraph {
    try await withScratchFolder { folder in
      let outcome = try await SwiftCompiler.describeLibrary(access, in: folder)
      if outcome.status != 0 { throw SwiftCompiler.Failure(outcome.output) }
      let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/UVLoop.symbols.json"))
      return try JSONDecoder().decode(SymbolGraph.self, from: data)
    }
  }
}
