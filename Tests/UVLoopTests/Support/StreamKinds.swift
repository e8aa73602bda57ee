import Testing

@testable import UVLoop

/// What can be below a stream. Suites run over each of them.
enum StreamKind: String, CaseIterable, CustomTestStringConvertible, Sendable {
  case tcp, unix
  /// Over TCP.
  case transforming, fragmenting

  /// Those of which the peer can make a reset.
  static let overTCP = allCases.filter { $0 != .unix }
  /// Those that hand on what the kernel gives, as it gives it.
  static let whole = allCases.filter { $0 != .fragmenting }

  var testDescription: String { rawValue }

  /// A connected stream and its peer.
  func connect(
    on loop: isolated EventLoop, options: ByteStream.Options = .init(), seed: UInt64 = 1
  ) async throws -> (ByteStream, PlainSocket) {
    switch self {
    case .tcp:
      let listener = try PlainListener()
      let stream = try await loop.connect(to: .loopback(port: listener.port), options: options)
      return (stream, try listener.accept())
    case .unix:
      let (ours, its) = try PlainSocket.pair()
      return (try PipeStream(adopting: OwnedDescriptor(owning: ours.release()), options: options), its)
    case .transforming:
      let (lower, peer) = try await StreamKind.tcp.connect(on: loop, options: options)
      let middle = ByteStream(over: TransformingTransport(over: lower, seed: seed), on: loop)
      return (ByteStream(over: TransformingTransport(over: middle, seed: seed), on: loop, options: options), peer)
    case .fragmenting:
      let (lower, peer) = try await StreamKind.tcp.connect(on: loop, options: options)
      return (ByteStream(over: FragmentingTransport(over: lower, seed: seed), on: loop, options: options), peer)
    }
  }
}

/// A kind, and whether a task goes on inside the callback that brings its bytes, or is queued.
struct StreamSetting: CustomTestStringConvertible, Sendable {
  let kind: StreamKind
  let isInline: Bool

  static let all = of(StreamKind.allCases)

  static func of(_ kinds: [StreamKind]) -> [StreamSetting] {
    kinds.flatMap { kind in [true, false].map { StreamSetting(kind: kind, isInline: $0) } }
  }

  var testDescription: String { isInline ? "\(kind)" : "\(kind), queued" }
}

/// Like `onTestLoop`, with a connected stream, which is closed afterwards, and its peer.
func onTestStream(
  _ setting: StreamSetting, options: ByteStream.Options = .init(), seed: UInt64 = 1,
  sourceLocation: SourceLocation = #_sourceLocation,
  _ body: @Sendable (_ loop: isolated EventLoop, _ stream: ByteStream, _ peer: PlainSocket) async throws -> Void
) async throws {
  try await onTestLoop(sourceLocation: sourceLocation) { loop, _ in
    loop.probe.runsInline = setting.isInline
    let (stream, peer) = try await setting.kind.connect(on: loop, options: options, seed: seed)
    defer { stream.close() }
    try await body(loop, stream, peer)
  }
}

extension ByteStream.Options {
  /// With the peer's buffer set too, the kernel makes no more room while nobody reads; else TCP's buffers grow with
  /// time.
  static var smallBuffers: ByteStream.Options {
    var options = ByteStream.Options()
    options.sendBufferSize = 65_536
    return options
  }
}

/// Waits until so many bytes have come to the stream.
func expectArrived(
  _ count: Int64, at stream: ByteStream, sourceLocation: SourceLocation = #_sourceLocation
) async {
  await expectEventually("\(count) bytes", sourceLocation: sourceLocation) { stream.bytesRead >= count }
}

extension [UInt8] {
  /// A copy of what is borrowed.
  init(_ span: RawSpan) { self = unsafe span.withUnsafeBytes { unsafe Array($0) } }
}
