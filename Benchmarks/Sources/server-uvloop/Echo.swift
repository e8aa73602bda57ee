import UVLoop

/// Sends back what comes, in one of the ways that the library has for it.
enum Echo: String {
  case borrowed = "uvloop-swift"
  case array = "uvloop-swift-array"
  case into = "uvloop-swift-into"
  case callback = "uvloop-swift-callback"

  init?(_ peer: String) { self.init(rawValue: peer) }

  func serve(_ loop: isolated EventLoop, _ listener: Listener<some ByteStream>) async throws {
    switch self {
    case .borrowed: try await listener.serve { loop, stream in try await Echo.borrow(loop, stream) }
    case .array:
      try await listener.serve { _, stream in
        while let bytes = try await stream.read() { try await stream.write(bytes) }
      }
    case .into:
      try await listener.serve { _, stream in
        var buffer: [UInt8] = []
        while try await stream.read(into: &buffer) > 0 {
          try await stream.write(buffer)
          buffer.removeAll(keepingCapacity: true)
        }
      }
    case .callback: for try await stream in listener { try Echo.answer(loop, stream) }
    }
  }

  /// What the kernel does not take at once is copied, and waited for.
  static func borrow(_ loop: isolated EventLoop, _ stream: some ByteStream) async throws {
    while let rest = try await stream.read({ bytes in
      let sent = try stream.tryWrite(bytes, isolation: loop)
      return sent == bytes.byteCount ? [] : bytes.extracting(sent...).withUnsafeBytes { [UInt8]($0) }
    }) {
      if !rest.isEmpty { try await stream.write(rest) }
    }
  }

  /// What the kernel does not take at once is copied and queued.
  private static func answer(_ loop: isolated EventLoop, _ stream: some ByteStream) throws {
    try stream.startReading(
      { bytes in
        do {
          let sent = try stream.tryWrite(bytes, isolation: loop)
          if sent == bytes.byteCount { return }
          if try !stream.enqueue(bytes.extracting(sent...).withUnsafeBytes { [UInt8]($0) }) { stream.close() }
        } catch {
          stream.close()
        }
      }, atEnd: { _ in stream.close() })
  }
}
