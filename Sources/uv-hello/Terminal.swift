import Foundation

/// Standard output and standard error, as the kernel knows them.
enum Terminal {
  /// Whether colours are welcome: somebody looks at a terminal, and has not set `NO_COLOR` to anything.
  static let hasColours = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"

  /// Whether somebody looks while it is written, so that a drawing which grows makes sense.
  static let isTerminal = isatty(STDOUT_FILENO) == 1

  /// Whether what has been written can be written over.
  static let canMove = isTerminal && environment["TERM"] != "dumb"

  /// How much fits: asked anew each time, since people change it. Where nobody looks 80 columns, and any number of
  /// rows.
  static var size: (columns: Int, rows: Int) {
    if !isTerminal { return (80, .max) }
    var size = winsize()
    let isKnown = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 0
    return isKnown ? (Int(size.ws_col), Int(size.ws_row)) : (80, 24)
  }

  private static let environment = ProcessInfo.processInfo.environment

  /// To be called first, before anything else opens a descriptor or starts a thread.
  static func prepare() {
    // A write to a pipe that nobody reads answers `EPIPE`, whichever thread writes. By default it would end the process
    // where the main thread writes, and fail where the loop's thread does, which blocks the signal.
    signal(SIGPIPE, SIG_IGN)
    // A closed descriptor lends its number to the next one opened, and that is one of the loop's: what is printed
    // would go there.
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
      // Open for reading only, so that a write to it fails as it would have.
      _ = unsafe open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  /// Writes to standard output at once: what is printed during a wait is seen during the wait, in a pipe too.
  static func write(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Foundation.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EPIPE {
        // Whoever read has seen enough, as `head` does: quietly, with the status that a shell shows for SIGPIPE.
        leave(128 + SIGPIPE)
      } else if errno == EAGAIN {
        // Somebody else who has the same terminal or pipe wants no blocking. Here it is wanted.
        var space = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&space, 1, -1)
      } else if errno != EINTR {
        complain("standard output cannot be written: \(unsafe String(cString: strerror(errno)))")
        leave(EXIT_FAILURE)
      }
    }
  }

  /// Writes a line to standard error, broken where it is too wide. If that fails nobody is left to be told.
  ///
  /// - Parameter afterEcho: Whether a terminal may have written `^C` into the line where its cursor stands.
  static func complain(_ line: String, afterEcho: Bool = false) {
    let start = afterEcho && isatty(STDERR_FILENO) == 1 ? "\n" : ""
    writeError("\(start)\("uv-hello: \(line)".wrapped(margin: 10))\n")
  }

  /// Writes to standard error what is there to be written.
  static func writeError(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

  /// Blocks the calling thread for good.
  static func waitForTheEnd() -> Never { while true { sleep(1) } }

  /// Ends the process from any thread, at once. Not `exit`, which waits for libuv's pool, and so for a call that waits
  /// for the thread that is here. Nothing is buffered that could be lost.
  static func leave(_ status: Int32) -> Never { _exit(status) }
}
