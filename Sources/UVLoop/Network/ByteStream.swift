/// A stream of bytes in both directions.
///
/// TEXT
open class ByteStream: @unchecked Sendable, CustomStringConvertible {  // Holds because all it has is one constant.
  final let core: StreamCore

  init(_ core: StreamCore) { self.core = core }

  /// A stream over a transport of this package's own.
  package init(over transport: any StreamTransport, on loop: EventLoop, options: Options = .init()) {
    core = StreamCore("ByteStream", over: transport, on: loop.core, options, StreamAddresses())
  }

  deinit { core.close() }

  // MARK: - The end

  public final func close() { core.close() }

  public final func reset() { core.close(resetting: true) }

  public final var isClosed: Bool { core.isClosed }

  // MARK: - Facts

  public final var localAddress: SocketAddress? { core.addresses.local }
  public final var peerAddress: SocketAddress? { core.addresses.peer }
  public final var bytesRead: Int64 { core.reader.bytes }
  public final var bytesWritten: Int64 { core.writer.bytes }
  public final var queuedBytes: Int { core.writer.queuedBytes }

  public final var timeouts: Timeouts {
    get { core.timeouts }
    set { core.timeouts = newValue }
  }

  public final var description: String {
    let ends = [localAddress, peerAddress].compactMap { $0.map(String.init(describing:)) }
    let way = ends.isEmpty ? "" : " \(ends.joined(separator: " > "))"
    return "\(core.noun)\(way) on loop \"\(core.loop.name)\"\(isClosed ? ", closed" : "")"
  }
}
