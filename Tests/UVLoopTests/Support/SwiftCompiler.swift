import CLibUV

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The compiler of the running toolchain, as a client of this package calls it: Swift 6 and nothing else.
enum SwiftCompiler {
  struct Outcome {
    let status: Int32
    let output: String

    /// The texts behind `error:`, each once. The compiler repeats them above and below the source that it quotes.
    var errors: Set<String> {
      Set(
        output.split(separator: "\n").compactMap { line in
          guard let colon = line.firstRange(of: ": error: ") else { return nil }
          return String(line[colon.upperBound...])
        })
    }

    /// Without what the linker says of the address sanitizer's own symbols.
    var warnings: [Substring] {
      output.split(separator: "\n").filter {
        $0.contains(": warning: ") && !$0.contains("Cannot export local symbol '__asan_")
      }
    }
  }

  /// What every client needs. The modules lie beside this program, in every kind of build.
  static func clientArguments(module: String = "Client") -> [String] {
    ["-swift-version", "6", "-parse-as-library", "-module-name", module]
      + ["-I", "\(productsFolder)/Modules", "-I", "\(packageFolder)/Sources/CLibUV"]
  }

  /// What a client is linked with: the library's objects, and the runtimes with which they were built.
  static var linkArguments: [String] {
    let runtimes = [
      ("__tsan_init", "-sanitize=thread"), ("__asan_init", "-sanitize=address"),
      ("__llvm_profile_write_file", "-profile-generate"),
    ]
    let objects = "\(productsFolder)/UVLoop.build"
    // A build leaves the object of a file behind that is gone.
    let sources = "\(packageFolder)/Sources/UVLoop"
    let present = Set(Files.names(in: sources).flatMap { Files.names(in: "\(sources)/\($0)") }.map { "\($0).o" })
    return Files.names(in: objects).filter { $0.hasSuffix(".swift.o") ? present.contains($0) : $0.hasSuffix(".o") }
      .map { "\(objects)/\($0)" }
      + runtimes.filter { unsafe dlsym(nil, $0.0) != nil }.map(\.1)
  }

  /// Stops at what the optimiser sees first: only there the checks of regions are done.
  static func check(_ files: [String]) async throws -> Outcome {
    try await run("swiftc", clientArguments() + ["-emit-sil", "-wmo", "-o", "/dev/null"] + files)
  }

  private static let built = Counter()

  /// Each under a module name of its own: of two that are linked at the same time under one name, one in thirty finds
  /// the other's list of libraries.
  static func build(_ files: [String], _ options: [String], to program: String) async throws -> Outcome {
    let arguments = clientArguments(module: "Client\(built.add())")
    return try await run("swiftc", arguments + options + linkArguments + ["-o", program] + files)
  }

  /// Writes what a library declares with at least that access to `Module.symbols.json`.
  static func describeLibrary(_ module: String, _ access: String, in folder: String) async throws -> Outcome {
    let info = try await run("swiftc", ["-print-target-info"]).output
    let line = info.split(separator: "\n").first { $0.contains("\"triple\"") } ?? ""
    let triple = line.split(separator: "\"").dropFirst(3).first.map(String.init) ?? ""
    return try await run(
      "swift",
      [
        "symbolgraph-extract", "-module-name", module, "-target", triple, "-minimum-access-level", access,
        "-skip-synthesized-members",
      ]
        + ["-I", "\(productsFolder)/Modules", "-I", "\(packageFolder)/Sources/CLibUV", "-output-dir", folder])
  }

  static func run(_ program: String, _ arguments: [String] = []) async throws -> Outcome {
    let command = ([program] + arguments).map { "'\($0)'" }.joined(separator: " ")
    return try await onPlainThread(within: .seconds(120)) {
      let pipe = unsafe ChildProcess.startingAlone { unsafe popen("\(command) 2>&1 </dev/null", "r") }
      guard let pipe = unsafe pipe else { throw Failure("popen: errno \(Posix.errno)") }
      let output = unsafe Files.text(from: pipe)
      return Outcome(status: unsafe pclose(pipe), output: output)
    }
  }

  struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  /// Where this program and all others of the build are.
  static var productsFolder: String {
    #if os(Linux)
      return Files.folder(of: Files.target(of: "/proc/self/exe"))
    #else
      return Files.folder(of: CommandLine.arguments[0])
    #endif
  }

  static var packageFolder: String {
    Files.folder(of: Files.folder(of: Files.folder(of: Files.folder(of: #filePath))))
  }
}

/// The few things that tests do with files.
enum Files {
  static func names(in folder: String) -> [String] {
    guard let stream = unsafe opendir(folder) else { return [] }
    defer { _ = unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  /// The whole text of a file; empty if there is none.
  static func text(of path: String) -> String {
    guard let file = unsafe fopen(path, "r") else { return "" }
    defer { _ = unsafe fclose(file) }
    return unsafe text(from: file)
  }

  fileprivate static func text(from file: UnsafeMutablePointer<FILE>) -> String {
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      if count == 0 { return String(decoding: text, as: UTF8.self) }
      text += chunk[..<count]
    }
  }

  static func write(_ text: String, to path: String) throws {
    guard let file = unsafe fopen(path, "w") else { throw SwiftCompiler.Failure("\(path): errno \(Posix.errno)") }
    let written = unsafe fputs(text, file)
    let closed = unsafe fclose(file)
    if written < 0 || closed != 0 { throw SwiftCompiler.Failure("\(path): errno \(Posix.errno)") }
  }

  static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }

  static func target(of link: String) -> String {
    var bytes = [CChar](repeating: 0, count: 4_096)
    let count = unsafe readlink(link, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

/// Gives `body` a folder of its own, and removes it with the files in it afterwards.
func withScratchFolder<R>(_ body: (_ folder: String) async throws -> R) async throws -> R {
  let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
  var template = Array("\(base)/uvloop-XXXXXX".utf8CString)
  guard unsafe mkdtemp(&template) != nil else { throw SwiftCompiler.Failure("mkdtemp: errno \(Posix.errno)") }
  let folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  defer {
    for name in Files.names(in: folder) { _ = unsafe unlink("\(folder)/\(name)") }
    _ = unsafe rmdir(folder)
  }
  return try await body(folder)
}
