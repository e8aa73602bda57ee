import Foundation

@testable import UVLoop

/// Runs `uv-hello`, which is built beside the tests.
enum Demo {
  struct Outcome {
    /// The exit code; negative for the signal that ended it.
    let status: Int32
    let output: String
    let errors: String

    var lines: [Substring] { output.split(separator: "\n") }
  }

  enum Reaction { case interrupt, stopReading }

  /// What its standard output is.
  enum Destination { case pipe, terminal }

  /// - Parameter react: What to do when it has written this line; it is asked for every line, until it answers.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], to destination: Destination = .pipe,
    react: @escaping @Sendable (Substring) -> Reaction? = { _ in nil }
  ) async throws -> Outcome {
    let process = Foundation.Process()
    process.executableURL = URL(fileURLWithPath: "\(SwiftCompiler.productsFolder)/uv-hello")
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment
      .filter { $0.key != "NO_COLOR" }
      .merging(["TERM": "xterm"]) { $1 }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    let child = Child(process)
    return try await withScratchFolder { folder in
      do {
        return try await onPlainThread(within: .seconds(120)) {
          try child.finish(errorsTo: "\(folder)/errors", destination, react)
        }
      } catch {
        if child.process.isRunning { kill(child.process.processIdentifier, SIGKILL) }
        throw error
      }
    }
  }

  /// Goes to the plain thread that reads, and back only to be killed.
  private final class Child: @unchecked Sendable {  // Holds because `Process` guards what is asked here.
    let process: Foundation.Process
    init(_ process: Foundation.Process) { self.process = process }

    func finish(
      errorsTo path: String, _ destination: Destination, _ react: (Substring) -> Reaction?
    ) throws -> Outcome {
      try Files.write("", to: path)
      guard let errors = FileHandle(forWritingAtPath: path) else { throw SwiftCompiler.Failure("cannot write \(path)") }
      process.standardError = errors
      let (reader, writer) = try destination == .pipe ? Self.pipe() : Self.terminal()
      process.standardOutput = writer
      try process.run()
      try writer.close()
      try errors.close()

      var bytes: [UInt8] = []
      var seen = 0
      var mayReact = true
      var chunk = [UInt8](repeating: 0, count: 4_096)
      reading: while true {
        // A terminal whose other end is gone answers with an error.
        let count = unsafe read(reader.fileDescriptor, &chunk, chunk.count)
        if count <= 0 { break }
        bytes += chunk[..<count]
        while mayReact, let end = bytes[seen...].firstIndex(of: UInt8(ascii: "\n")) {
          let line = String(decoding: bytes[seen..<end], as: UTF8.self)
          seen = end + 1
          guard let reaction = react(line[...]) else { continue }
          mayReact = false
          switch reaction {
          case .interrupt: kill(process.processIdentifier, SIGINT)
          case .stopReading: break reading
          }
        }
      }
      try reader.close()
      process.waitUntilExit()
      let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
      return Outcome(status: status, output: String(decoding: bytes, as: UTF8.self), errors: Files.text(of: path))
    }

    private static func pipe() throws -> (FileHandle, FileHandle) {
      let pipe = Pipe()
      return (pipe.fileHandleForReading, pipe.fileHandleForWriting)
    }

    /// A terminal of 80 columns that nobody looks at.
    private static func terminal() throws -> (FileHandle, FileHandle) {
      var (reader, writer): (Int32, Int32) = (-1, -1)
      if unsafe openpty(&reader, &writer, nil, nil, nil) != 0 {
        throw SwiftCompiler.Failure("openpty: errno \(Posix.errno)")
      }
      return (
        FileHandle(fileDescriptor: reader, closeOnDealloc: true),
        FileHandle(fileDescriptor: writer, closeOnDealloc: true)
      )
    }
  }
}
