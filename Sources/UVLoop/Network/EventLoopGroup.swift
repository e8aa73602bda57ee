import CLibUV
import Synchronization

/// Several loops, each on a thread of its own: one for each CPU, unless told otherwise.
///
/// ```swift
/// try await withEventLoopGroup { group in
///   let listener = try await group.listen(on: .allInterfaces(port: 7_000))
///   try await listener.serve { loop, stream in
///     for try await bytes in stream { try await stream.write(bytes) }
///   }
/// }
/// ```
///
/// The loops share nothing. What belongs to one of them, a stream or a timer, stays there; a group is a way to make
/// them together, to choose among them, and to listen on all of them with one listener.
///
/// A loop of the group may be shut down alone: the others go on.
///
/// > Isolation: Any thread may use it.
///
/// > Ownership: It keeps its loops. Shut it down before the last reference goes; loops that are dropped without that
/// say so on standard error, each for itself.
public final class EventLoopGroup: Sendable {
  /// Who of the loops gets a connection.
  public enum Distribution: Hashable, Sendable {
    /// One loop accepts, and hands each connection to the loop that has the fewest open; see <doc:OneLoopAccepts>.
    case leastConnections
    /// Each loop listens for itself, and the kernel chooses by a hash of the addresses (`SO_REUSEPORT`). For TCP alone.
    case reusePort
  }

  /// The loops, in the order in which they were made. They stay the same for as long as there is the group, those that
  /// have been shut down included.
  public let loops: [EventLoop]

  private let nextLoop = Atomic(0)

  /// Starts the loops, and returns when all of them run.
  ///
  /// - Parameters:
  ///   - count: How many; nil for one for each CPU that this process may use.
  ///   - options: How to make each loop. Its name gets the loop's number: "uv-loop" makes "uv-loop-1", "uv-loop-2".
  /// - Throws: ``UVError/Code/invalidArgument`` for a count below 1; what ``EventLoop/init(_:)`` throws. No loop is
  ///   left then.
  ///
  /// > Isolation: Call it anywhere. It blocks the caller for the start of the threads, about 100 µs each.
  ///
  /// > libuv: `uv_loop_init`, `uv_available_parallelism`.
  public init(count: Int? = nil, _ options: EventLoop.Options = .init()) throws(UVError) {
    // It asks for the CPUs on which the thread may run, and answers 1 where that fails.
    let count = count ?? Int(uv_available_parallelism())
    if count < 1 {
      throw UVError(
        .invalidArgument, call: "EventLoopGroup.init",
        "A group of \(count) loops has nobody to do the work. Give at least 1, or nil for one for each CPU.")
    }
    try options.validate()
    var loops: [EventLoop] = []
    do throws(UVError) {
      for number in 1...count {
        var options = options
        options.name += "-\(number)"
        loops.append(try EventLoop(options))
      }
    } catch {
      EventLoopGroup.end(loops)
      throw error
    }
    self.loops = loops
  }

  /// What `init` has made when the next loop cannot be made. It takes no longer than to start them did.
  private static func end(_ loops: [EventLoop]) {
    for loop in loops { loop.requestShutdown(within: nil) }
    for loop in loops {
      let call = BlockingCall<ShutdownReport>()
      loop.whenShutDown { call.finish(.success(Disconnected($0))) }
      _ = call.wait(until: nil)
    }
  }

  /// One loop after the other, in turn. Those that have been shut down are left out, as long as there are others.
  ///
  /// > Isolation: Call it on any thread.
  public func next() -> EventLoop {
    // It begins anew before it could overflow.
    let first = Int(UInt(bitPattern: nextLoop.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(loops.count))
    for offset in loops.indices {
      let loop = loops[(first + offset) % loops.count]
      if loop.state == .running { return loop }
    }
    return loops[first]
  }

  /// Ends all loops beside each other, and returns when they have ended.
  ///
  /// - Parameter limit: How long to wait; see ``EventLoop/shutdown(within:)``.
  /// - Returns: What each of them has left behind, in the order of ``loops``.
  ///
  /// > Isolation: Call it from anywhere, from a task of one of the loops too.
  ///
  /// > Cancellation: Ignored. A cancelled task waits for the end all the same.
  @discardableResult
  public nonisolated(nonsending) func shutdown(within limit: Duration? = nil) async -> [ShutdownReport] {
    for loop in loops { loop.requestShutdown(within: limit) }
    var reports: [ShutdownReport] = []
    for loop in loops { reports.append(await loop.shutdown(within: limit)) }
    return reports
  }

  /// Every loop has been shut down.
  static func closedError(_ call: String) -> UVError {
    UVError(.loopClosed, call: call, "Each loop of the group has been shut down, or is about to be.")
  }
}

extension EventLoopGroup: CustomStringConvertible {
  /// How many loops, and the name of each.
  public var description: String {
    "EventLoopGroup of \(loops.count): \(loops.map { "\"\($0.name)\"" }.joined(separator: ", "))"
  }
}
