import Foundation
import Logging
import Synchronization
import Testing
import UVLoop

/// Gives `body` a loop, and shuts it down however `body` ends. Nothing may be left then.
func withLoop<R: Sendable>(
  _ options: EventLoop.Options, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: (EventLoop) async throws -> R
) async throws -> R {
  let loop = try EventLoop(options)
  let result: Result<R, any Error>
  do { result = .success(try await body(loop)) } catch { result = .failure(error) }
  let report = await loop.shutdown(within: .seconds(20))
  #expect(report.unfinished.isEmpty && report.foreignHandles.isEmpty, "\(report)", sourceLocation: sourceLocation)
  return try result.get()
}

/// Keeps the calling thread until the condition holds; false when that takes longer than 20 seconds.
///
/// It waits in a call of the system, where the thread sanitizer, too, lets signals through at once.
@inline(never)
func blocksUntil(_ condition: () -> Bool) -> Bool {
  let clock = ContinuousClock()
  let deadline = clock.now + .seconds(20)
  while !condition() {
    if clock.now > deadline { return false }
    Thread.sleep(forTimeInterval: 0.01)
  }
  return true
}

/// Keeps the calling thread for at least so long.
func spin(for duration: Duration) {
  let clock = ContinuousClock()
  let end = clock.now + duration
  while clock.now < end {}
}

/// All lines that loggers with this log have written.
final class Log: Sendable {
  struct Line: Sendable {
    let logger: String
    let level: Logger.Level
    let message: String
    let metadata: Logger.Metadata

    func text(_ key: String) -> String? { metadata[key].map { "\($0)" } }

    func duration(_ key: String) -> Duration? {
      if case .stringConvertible(let value)? = metadata[key] { value as? Duration } else { nil }
    }

    func list(_ key: String) -> [String] {
      if case .array(let values)? = metadata[key] { values.map { "\($0)" } } else { [] }
    }
  }

  private let all = Mutex<[Line]>([])

  var lines: [Line] { all.withLock { $0 } }

  func logger(_ label: String, level: Logger.Level = .trace) -> Logger {
    var logger = Logger(label: label) { CapturingHandler(label: $0, log: self) }
    logger.logLevel = level
    return logger
  }

  private struct CapturingHandler: LogHandler {
    let label: String
    let log: Log
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(label: String, log: Log) {
      self.label = label
      self.log = log
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let line = Line(
        logger: label, level: event.level, message: "\(event.message)",
        metadata: metadata.merging(event.metadata ?? [:]) { $1 })
      log.all.withLock { $0.append(line) }
    }
  }
}

/// A call that waits until it is let go.
final class Release: Sendable {
  private let begun = AsyncStream.makeStream(of: Void.self)
  private let isLetGo = DispatchSemaphore(value: 0)

  func wait() {
    begun.continuation.finish()
    // For a test that fails. One that waits for Swift's pool on a busy machine may take half a minute.
    _ = isLetGo.wait(timeout: .now() + .seconds(300))
  }

  func letGo() { isLetGo.signal() }

  /// Returns once the call waits.
  func waitForTheCall() async { for await _ in begun.stream {} }
}
