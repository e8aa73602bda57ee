@testable import UVLoop

/// A form of a read that waits. How many bytes are wanted at most decides between those that give what is there.
enum ReadForm: Sendable, CustomStringConvertible {
  case some(Int), exactly(Int), until([UInt8]), line, frame, integer, everything

  enum Outcome: Sendable {
    case bytes([UInt8])
    case text(String)
    case number(UInt16)
    case end
  }

  /// One of each.
  static let each: [ReadForm] = [
    .some(3), .some(4), .some(5), .exactly(5), .until([10]), .line, .frame, .integer, .everything,
  ]

  /// One that ends before the stream does.
  static func random(_ random: inout SplitMix) -> ReadForm {
    switch Int.random(in: 0..<7, using: &random) {
    case 0, 1: .some(Int.random(in: 1..<50, using: &random))
    case 2: .exactly(Int.random(in: 0..<60, using: &random))
    case 3: .until([UInt8.random(in: 33..<127, using: &random)])
    case 4: .line
    case 5: .frame
    default: .integer
    }
  }

  func read(_ stream: ByteStream) async throws -> Outcome {
    switch self {
    case .some(let limit) where limit % 3 == 0: return Self.bytes(try await stream.read(upTo: limit))
    case .some(let limit) where limit % 3 == 1:
      return Self.bytes(try await stream.read(upTo: limit) { span in [UInt8](span) })
    case .some(let limit):
      var buffer: [UInt8] = []
      return try await stream.read(into: &buffer, upTo: limit) == 0 ? .end : .bytes(buffer)
    case .exactly(let count): return .bytes(try await stream.read(exactly: count))
    case .until(let delimiter): return Self.bytes(try await stream.read(until: delimiter))
    case .line: return try await stream.readLine().map(Outcome.text) ?? .end
    case .frame: return Self.bytes(try await stream.readFrame(lengthPrefix: .uint8))
    case .integer: return .number(try await stream.readInteger())
    case .everything: return .bytes(try await stream.readAll(limit: .max))
    }
  }

  private static func bytes(_ bytes: [UInt8]?) -> Outcome { bytes.map(Outcome.bytes) ?? .end }

  var description: String {
    switch self {
    case .some(let limit): "at most \(limit)"
    case .exactly(let count): "exactly \(count)"
    case .until(let delimiter): "until \(delimiter)"
    case .line: "a line"
    case .frame: "a frame"
    case .integer: "a number"
    case .everything: "everything"
    }
  }
}
