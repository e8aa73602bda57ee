@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Programs of others, which talk to the library or listen to it. `Scripts/setup --peers` installs them.
enum PeerProgram {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Whether it is on the PATH.
  static func isInstalled(_ name: String) -> Bool {
    path.split(separator: ":").contains { unsafe access("\($0)/\(name)", X_OK) == 0 }
  }

  /// Runs a line in a shell: what it has printed, where it ends with 0.
  static func run(_ line: String) async throws -> [UInt8] {
    try await withScratchFolder { folder in
      let child = try start(line, in: folder)
      let status: Int32
      do { status = try await onPlainThread(within: .seconds(120)) { child.wait() } } catch {
        child.kill(SIGKILL)
        throw error
      }
      if status != 0 {
        throw Failure(description: "'\(line)' ended with \(status): \(Files.text(of: "\(folder)/errors"))")
      }
      return Array(Files.text(of: "\(folder)/output").utf8)
    }
  }

  /// Runs a line in a shell, which one program takes the place of, and ends that when `body` has ended.
  static func serving<R>(_ line: String, _ body: () async throws -> R) async throws -> R {
    try await withScratchFolder { folder in
      let child = try start("exec \(line)", in: folder)
      let result: Result<R, any Error>
      do { result = .success(try await body()) } catch { result = .failure(error) }
      child.kill(SIGKILL)
      _ = try await onPlainThread { child.wait() }
      return try result.get()
    }
  }

  private static var path: String { unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "" }

  private static func start(_ line: String, in folder: String) throws -> ChildProcess {
    try ChildProcess.startingAlone {
      let output = unsafe open("\(folder)/output", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
      let errors = unsafe open("\(folder)/errors", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
      defer {
        Posix.close(output)
        Posix.close(errors)
      }
      let home = unsafe getenv("HOME").map { unsafe String(cString: $0) } ?? "/"
      return try ChildProcess(
        "/bin/sh", ["-c", line], environment: ["PATH=\(path)", "HOME=\(home)"], output: output, errors: errors)
    }
  }
}
