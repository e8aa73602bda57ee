/// The calls that led to a place in the code, the innermost first.
///
/// It holds addresses, and looks their names up when it is asked: that reads the symbols of the program's files and takes
/// milliseconds.
public struct StackTrace: Sendable, Hashable {
  let addresses: [UInt]

  init(_ addresses: [UInt]) { self.addresses = addresses }

  init(_ site: CallSite) { addresses = site.addresses }

  /// A line for each call: function, offset, file, and the address in it as `llvm-symbolizer --obj` takes it.
  public var frames: [String] { Symbolicator.frames(addresses).map(\.description) }
}

extension StackTrace: CustomStringConvertible {
  /// The frames that are neither the library's own nor those of the runtime below it, numbered, a line each; all of them if
  /// there are no others.
  public var description: String {
    let all = frames
    let users = all.drop { StackTrace.isInternal($0) }.prefix { !StackTrace.isInternal($0) }
    return (users.isEmpty ? all[...] : users).enumerated().map { "  \($0.offset)  \($0.element)" }
      .joined(separator: "\n")
  }

  /// As names are demangled: a declaration of the library, or a closure in one, and what runs a task's job.
  private static func isInternal(_ frame: String) -> Bool {
    frame.hasPrefix("UVLoop.") || frame.contains(" in UVLoop.") || frame.hasPrefix("_ZN5swift")
      || frame.hasPrefix("swift_job_run")
  }
}

extension StackTrace: Codable {
  /// Writes the frames, which mean something in any process.
  public func encode(to encoder: any Encoder) throws { try frames.encode(to: encoder) }

  /// Not every process has the code: what was written are names, and there is no way back to addresses.
  public init(from decoder: any Decoder) throws { addresses = [] }
}
