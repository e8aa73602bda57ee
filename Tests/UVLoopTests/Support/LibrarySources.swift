import Foundation

/// The text of each source file of the library, for tests that compare what is written there with what they cover.
func librarySources() throws -> [String] {
  let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../Sources/UVLoop")
  guard let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil) else { return [] }
  return try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
    .map { try String(contentsOf: $0, encoding: .utf8) }
}
