/// The calls that led to a place in the code, the innermost first.
///
/// It holds addresses, and looks their names up when it is asked. The first one in a file takes milliseconds, in which
/// the symbols of that file are read and kept; later ones take microseconds.
public struct StackTrace: Sendable, Hashable {
  private enum Calls: Hashable {
    case addresses([UInt])
    /// Of another process, perhaps, so that there is no way back to addresses.
    case read([String])
  }

  private let calls: Calls

  init(_ addresses: [UInt]) { calls = .addresses(addresses) }

  init(_ site: CallSite) { self.init(site.addresses) }

  /// A line for each call: function, offset, file, and the address in it as `llvm-symbolizer --obj` takes it.
  public var frames: [String] {
    switch calls {
    case .addresses(let addresses): Symbolicator.frames(addresses).map(\.description)
    case .read(let frames): frames
    }
  }

  /// Whether nothing is known.
  var isEmpty: Bool {
    switch calls {
    case .addresses(let addresses): addresses.isEmpty
    case .read(let frames): frames.isEmpty
    }
  }
}

extension StackTrace: CustomStringConvertible {
  /// The frames, numbered, a line each, without those of the library at the inner end and without those of the library,
  /// of libuv and of Swift's runtime at the outer end; all of them if there are no others.
  public var description: String {
    let all = frames
    var users = all.drop { StackTrace.isOurs($0) }
    while let last = users.last, StackTrace.isOurs(last) || StackTrace.runsTheLoop(last) { users.removeLast() }
    return (users.isEmpty ? all[...] : users).enumerated().map { "  \($0.offset)  \($0.element)" }
      .joined(separator: "\n")
  }

  /// As names are demangled: a declaration of the library, or a closure in one.
  private static func isOurs(_ frame: String) -> Bool {
    frame.hasPrefix("UVLoop.") || frame.hasPrefix("static UVLoop.") || frame.contains(" in UVLoop.")
  }

  private static func runsTheLoop(_ frame: String) -> Bool {
    frame.contains(" in libuv.so") || frame.contains(" in libswift_Concurrency.so")
      || ["uv_", "_ZN5swift", "swift_job_run", "Swift.UnownedJob."].contains { frame.hasPrefix($0) }
  }
}

extension StackTrace: Codable {
  /// Writes the frames, which mean something in any process.
  public func encode(to encoder: any Encoder) throws { try frames.encode(to: encoder) }

  /// Reads frames. A trace that was read is equal to no other one but one that was read.
  public init(from decoder: any Decoder) throws { calls = .read(try [String](from: decoder)) }
}
