extension ByteStream {
  /// How long a stream may wait without a byte.
  public struct Timeouts: Hashable, Sendable {
    /// For a read: from the last byte that came, or the beginning of the wait.
    public var read: Duration?
    /// For a write: from the last byte that went, or the beginning of the wait.
    public var write: Duration?

    public init(read: Duration? = nil, write: Duration? = nil) {
      self.read = read
      self.write = write
    }
  }

  /// How a stream behaves. One set for all kinds; what a kind does not have is without effect there.
  public struct Options: Hashable, Sendable {
    /// How long a wait may last without a byte.
    public var timeouts = Timeouts()
    /// Beyond so many queued bytes `enqueue` answers false.
    public var writeQueueLimit = 256 * 1024
    /// The size of the kernel's buffer for what is sent, in bytes; nil leaves it to the system. `SO_SNDBUF`.
    public var sendBufferSize: Int?
    /// The size of the kernel's buffer for what comes, in bytes; nil leaves it to the system. `SO_RCVBUF`.
    public var receiveBufferSize: Int?
    /// TCP: sends small writes at once. `TCP_NODELAY`.
    public var noDelay = true
    /// TCP: for how long nothing comes before the first probe; nil for no probes. In whole seconds, at least one.
    public var keepAlive: Duration?
    /// TCP: from which address to connect.
    public var localAddress: SocketAddress?
    /// TCP: how long one address has before the next is tried beside it (RFC 8305).
    public var attemptDelay: Duration = .milliseconds(250)
    /// Unix: whether streams can be sent over it.
    public var passesStreams = false

    public init() {}
  }
}

extension ByteStream.Options {
  /// Refuses what the system would refuse later, or cut.
  func validate(_ call: @autoclosure () -> String) throws(UVError) {
    _ = try ByteStream.Options.keepAliveSeconds(keepAlive, "\(call()): options.keepAlive")
    if let size = sendBufferSize { _ = try ByteStream.Options.bufferSize(size, "\(call()): options.sendBufferSize") }
    if let size = receiveBufferSize {
      _ = try ByteStream.Options.bufferSize(size, "\(call()): options.receiveBufferSize")
    }
  }

  static func keepAliveSeconds(_ delay: Duration?, _ call: @autoclosure () -> String) throws(UVError) -> UInt32? {
    guard let delay else { return nil }
    let nanoseconds = delay.saturatingNanoseconds
    let seconds = nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 > 0 ? 1 : 0)
    if seconds < 1 || seconds > 32_767 {
      throw UVError(
        .invalidArgument, call: call(),
        "A keep-alive delay of \(delay.text) is not possible. Give 1 to 32,767 seconds, or nil for none.")
    }
    return UInt32(seconds)
  }

  static func bufferSize(_ size: Int, _ call: @autoclosure () -> String) throws(UVError) -> Int32 {
    if let size = Int32(exactly: size), size > 0 { return size }
    throw UVError(.invalidArgument, call: call(), "A buffer of \(size) bytes is not possible.")
  }
}
