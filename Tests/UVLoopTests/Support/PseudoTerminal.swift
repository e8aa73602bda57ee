@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A terminal that nobody looks at, with both of its ends.
final class PseudoTerminal: Sendable {
  /// The end that a terminal's window has.
  let master: Int32
  /// The terminal.
  let descriptor: Int32
  let path: String

  init() throws {
    var ends: (master: Int32, terminal: Int32) = (-1, -1)
    var name = [CChar](repeating: 0, count: 256)
    // `ttyname` has one place for the names of all threads.
    guard unsafe openpty(&ends.master, &ends.terminal, nil, nil, nil) == 0,
      unsafe ttyname_r(ends.terminal, &name, name.count) == 0
    else { throw SwiftCompiler.Failure("openpty: errno \(Posix.errno)") }
    (master, descriptor) = ends
    path = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    for end in [master, descriptor] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  }

  static func open(_ path: String) throws -> Int32 {
    #if canImport(Glibc)
      let descriptor = unsafe Glibc.open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    #elseif canImport(Musl)
      let descriptor = unsafe Musl.open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    #else
      let descriptor = unsafe Darwin.open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    #endif
    if descriptor < 0 { throw SwiftCompiler.Failure("\(path): errno \(Posix.errno)") }
    return descriptor
  }

  /// Another descriptor for the terminal, which the caller closes.
  func opened() throws -> OwnedDescriptor { OwnedDescriptor(owning: try Self.open(path)) }

  /// What can be told from its mode.
  struct Mode: Equatable {
    let takesLines: Bool
    let echoes: Bool
    let sendsSignals: Bool
    let changesOutput: Bool

    static let normal = Mode(takesLines: true, echoes: true, sendsSignals: true, changesOutput: true)
    static let raw = Mode(takesLines: false, echoes: false, sendsSignals: false, changesOutput: true)
    static let io = Mode(takesLines: false, echoes: false, sendsSignals: false, changesOutput: false)

    init(takesLines: Bool, echoes: Bool, sendsSignals: Bool, changesOutput: Bool) {
      self.takesLines = takesLines
      self.echoes = echoes
      self.sendsSignals = sendsSignals
      self.changesOutput = changesOutput
    }

    init(of descriptor: Int32) {
      var settings = termios()
      _ = unsafe tcgetattr(descriptor, &settings)
      takesLines = settings.c_lflag & tcflag_t(ICANON) != 0
      echoes = settings.c_lflag & tcflag_t(ECHO) != 0
      sendsSignals = settings.c_lflag & tcflag_t(ISIG) != 0
      changesOutput = settings.c_oflag & tcflag_t(OPOST) != 0
    }
  }

  var mode: Mode { Mode(of: descriptor) }

  func resize(columns: UInt16, rows: UInt16) {
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    _ = unsafe ioctl(master, UInt(TIOCSWINSZ), &size)
  }

  /// Types at the terminal.
  func type(_ text: String) { PlainBytes.write(Array(text.utf8), to: master) }

  /// What the terminal shows next, at least one byte; empty at the end.
  func shown() -> [UInt8] { PlainBytes.read(from: master) }

  deinit {
    Posix.close(master)
    Posix.close(descriptor)
  }
}

/// Plain system calls, which wait.
enum PlainBytes {
  static func write(_ bytes: [UInt8], to descriptor: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { bytes in
        #if canImport(Glibc)
          unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Musl)
          unsafe Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #else
          unsafe Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
      }
      if count < 0 { return }
      rest = rest.dropFirst(count)
    }
  }

  /// At least one byte, or none at the end, and after an error.
  static func read(from descriptor: Int32, _ limit: Int = 65_536) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    #if canImport(Glibc)
      let count = unsafe Glibc.read(descriptor, &bytes, limit)
    #elseif canImport(Musl)
      let count = unsafe Musl.read(descriptor, &bytes, limit)
    #else
      let count = unsafe Darwin.read(descriptor, &bytes, limit)
    #endif
    return Array(bytes.prefix(max(0, count)))
  }

  static func readAll(from descriptor: Int32) -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let bytes = read(from: descriptor)
      if bytes.isEmpty { return all }
      all += bytes
    }
  }

  static func position(of descriptor: Int32) -> Int { Int(lseek(descriptor, 0, SEEK_CUR)) }
}
