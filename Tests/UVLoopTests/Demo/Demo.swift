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

  /// - Parameters:
  ///   - input: The path of what it reads.
  ///   - react: What to do when it has written this line; it is asked for every line, until it answers.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], input: String = "/dev/null",
    to destination: Destination = .pipe,
    react: @escaping @Sendable (Substring) -> Reaction? = { _ in nil }
  ) async throws -> Outcome {
    let settings = ProcessInfo.processInfo.environment
      .filter { $0.key != "NO_COLOR" }
      .merging(["TERM": "xterm"]) { $1 }.merging(environment) { $1 }
      .map { "\($0.key)=\($0.value)" }
    let child = Shared<ChildProcess?>(nil)
    return try await withScratchFolder { folder in
      do {
        return try await onPlainThread(within: .seconds(120)) {
          try finish(arguments, settings, input, errorsTo: "\(folder)/errors", destination, react) { child.value = $0 }
        }
      } catch {
        child.value?.kill(SIGKILL)
        throw error
      }
    }
  }

  /// Starts it, tells which process it is, and reads until it ends.
  private static func finish(
    _ arguments: [String], _ environment: [String], _ input: String, errorsTo path: String,
    _ destination: Destination, _ react: (Substring) -> Reaction?, _ tell: (ChildProcess?) -> Void
  ) throws -> Outcome {
    let (child, reader) = try ChildProcess.startingAlone {
      let errors = unsafe open(path, O_WRONLY | O_CREAT, 0o600)
      if errors < 0 { throw SwiftCompiler.Failure("\(path): errno \(Posix.errno)") }
      defer { Posix.close(errors) }
      let (reader, writer) = try destination == .pipe ? pipe() : terminal()
      defer { Posix.close(writer) }
      _ = fcntl(reader, F_SETFD, FD_CLOEXEC)
      let child = try ChildProcess(
        "\(SwiftCompiler.productsFolder)/uv-hello", arguments, environment: environment, input: input, output: writer,
        errors: errors)
      return (child, reader)
    }
    tell(child)

    var bytes: [UInt8] = []
    var seen = 0
    var mayReact = true
    var chunk = [UInt8](repeating: 0, count: 4_096)
    reading: while true {
      // A terminal whose other end is gone answers with an error.
      let count = unsafe read(reader, &chunk, chunk.count)
      if count <= 0 { break }
      bytes += chunk[..<count]
      while mayReact, let end = bytes[seen...].firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: bytes[seen..<end], as: UTF8.self)
        seen = end + 1
        guard let reaction = react(line[...]) else { continue }
        mayReact = false
        switch reaction {
        case .interrupt: child.kill(SIGINT)
        case .stopReading: break reading
        }
      }
    }
    Posix.close(reader)
    let status = child.wait()
    tell(nil)
    return Outcome(status: status, output: String(decoding: bytes, as: UTF8.self), errors: Files.text(of: path))
  }

  private static func pipe() throws -> (reader: Int32, writer: Int32) {
    var ends: [Int32] = [-1, -1]
    if unsafe Foundation.pipe(&ends) != 0 { throw SwiftCompiler.Failure("pipe: errno \(Posix.errno)") }
    return (ends[0], ends[1])
  }

  /// A terminal of 80 columns that nobody looks at.
  private static func terminal() throws -> (reader: Int32, writer: Int32) {
    var (reader, writer): (Int32, Int32) = (-1, -1)
    if unsafe openpty(&reader, &writer, nil, nil, nil) != 0 {
      throw SwiftCompiler.Failure("openpty: errno \(Posix.errno)")
    }
    return (reader, writer)
  }
}
