@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What can be behind a standard stream.
enum StandardKind: String, CaseIterable, Codable, Sendable {
  case file, pipe, namedPipe, terminal, socket, null

  /// Those that others have too, and which are waited for.
  static let waiting: [StandardKind] = [.pipe, .namedPipe, .terminal, .socket]
}

/// What the process has behind one of the numbers 0 to 2, and the other end of it. For exit tests, before the first
/// loop.
final class StandardEnd: Sendable {
  let kind: StandardKind
  let number: Int32
  /// The end that the test has; of a file a second descriptor with a position of its own.
  let peer: Int32
  private let terminal: PseudoTerminal?
  private let before: Int32

  /// - Parameter isNonBlocking: Whether whoever started this process has made it so.
  init(_ kind: StandardKind, at number: Int32, isNonBlocking: Bool = false) throws {
    self.kind = kind
    self.number = number
    before = Socket.duplicate(number)
    var ours: Int32
    var pair: [Int32] = [-1, -1]
    var terminal: PseudoTerminal?
    switch kind {
    case .file:
      var template = Array("/tmp/uvloop-XXXXXX".utf8CString)
      ours = unsafe mkstemp(&template)
      peer = unsafe open(template, O_RDWR)
      unsafe unlink(template)
    case .pipe:
      _ = unsafe pipe(&pair)
      (ours, peer) = number == 0 ? (pair[0], pair[1]) : (pair[1], pair[0])
    case .namedPipe:
      var template = Array("/tmp/uvloop-XXXXXX".utf8CString)
      _ = unsafe mkdtemp(&template)
      let folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
      let path = "\(folder)/pipe"
      _ = unsafe mkfifo(path, 0o600)
      // Neither end can be opened alone without a wait.
      let both = unsafe open(path, O_RDWR)
      ours = unsafe open(path, number == 0 ? O_RDONLY : O_WRONLY)
      peer = unsafe open(path, number == 0 ? O_WRONLY : O_RDONLY)
      Posix.close(both)
      _ = unsafe unlink(path)
      _ = unsafe rmdir(folder)
    case .terminal:
      let made = try PseudoTerminal()
      terminal = made
      (ours, peer) = (dup(made.descriptor), made.master)
    case .socket:
      _ = unsafe socketpair(AF_UNIX, Socket.stream, 0, &pair)
      (ours, peer) = (pair[0], pair[1])
    case .null:
      ours = unsafe open("/dev/null", O_RDWR)
      peer = -1
    }
    self.terminal = terminal
    if ours < 0 { throw SwiftCompiler.Failure("\(kind): errno \(Posix.errno)") }
    Posix.setNonBlocking(ours, isNonBlocking)
    // A number that was closed before is the first to be taken.
    if ours == number { return }
    dup2(ours, number)
    Posix.close(ours)
  }

  /// Puts back what was there before: whoever runs exit tests writes to the number, too.
  func remove() { dup2(before, number) }

  /// Whether the number is open, and what it stands for non-blocking.
  var isNonBlocking: Bool? { Posix.isOpen(number) ? Posix.flags(of: number) & O_NONBLOCK != 0 : nil }

  /// Brings these bytes to who reads the number, and the end behind them.
  func bring(_ text: String, andEnd isLast: Bool = true) {
    PlainBytes.write(Array(text.utf8), to: peer)
    switch kind {
    case .null, .file: break
    // Ctrl-D where a line would begin.
    case .terminal: if isLast { PlainBytes.write([4], to: peer) }
    case .pipe, .namedPipe, .socket: if isLast { Posix.close(peer) }
    }
  }

  /// So many of the bytes that were written to the number.
  func taken(_ count: Int) -> [UInt8] {
    var all: [UInt8] = []
    while all.count < count {
      let bytes = PlainBytes.read(from: peer, count - all.count)
      if bytes.isEmpty { break }
      all += bytes
    }
    return all
  }
}
