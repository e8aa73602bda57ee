import CLibUV

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Another program, started with `posix_spawn`.
///
/// Not Foundation's `Process`: on Linux that reads the list of open descriptors with every entry's name in full length,
/// past the end of the buffer, and now and then past the end of the memory.
struct ChildProcess: Sendable {
  let id: pid_t

  private static let starting = Lock()

  /// Makes descriptors and starts a program while no other is started here: that would inherit them, and then a reader
  /// waits for its end, too.
  static func startingAlone<R>(_ body: () throws -> R) rethrows -> R { try starting.withLock(body) }

  /// Starts it with a file to read, which is empty unless there is another, and with every signal as it is for a
  /// program that a shell starts. It closes none of the descriptors: they are the caller's.
  ///
  /// - Parameter passed: Descriptors that it gets too, from 3 on. Their own numbers are higher than those.
  init(
    _ program: String, _ arguments: [String], environment: [String], input: String = "/dev/null", output: Int32,
    errors: Int32, passing passed: [Int32] = []
  ) throws {
    var (actions, attributes) = unsafe (posix_spawn_file_actions_t(), posix_spawnattr_t())
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
    for (index, descriptor) in passed.enumerated() {
      unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, 3 + Int32(index))
    }

    // A thread of Swift's pool has most signals blocked, and what it starts would have them blocked, too.
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    unsafe sigemptyset(&none)
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))

    let words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
    let settings = unsafe environment.map { unsafe strdup($0) } + [nil]
    defer { unsafe (words + settings).forEach { unsafe free($0) } }
    var id: pid_t = 0
    let status = unsafe posix_spawn(&id, program, &actions, &attributes, words, settings)
    if status != 0 { throw SwiftCompiler.Failure("posix_spawn of \(program): errno \(status)") }
    self.id = id
  }

  func kill(_ signal: Int32) { _ = Self.send(id, signal) }

  /// The exit code; negative for the signal that ended it. Once.
  func wait() -> Int32 {
    var status: Int32 = 0
    while unsafe waitpid(id, &status, 0) < 0 && Posix.errno == EINTR {}
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : -signal
  }

  private static func send(_ id: pid_t, _ signal: Int32) -> Int32 {
    #if canImport(Glibc)
      Glibc.kill(id, signal)
    #elseif canImport(Musl)
      Musl.kill(id, signal)
    #else
      Darwin.kill(id, signal)
    #endif
  }
}
