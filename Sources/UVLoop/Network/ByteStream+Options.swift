extension ByteStream {
  /// For how long a stream may wait without a byte.
  ///
  /// A limit counts for one wait at a time, and each byte begins it anew: it finds peers that have gone or stand still,
  /// and not those that are slow. It is exact to about a millisecond, and never early. Nil, or the largest `Duration`,
  /// is no limit; zero or less ends every wait that does not find what it wants at once.
  public struct Timeouts: Hashable, Sendable {
    /// For a read: from the last byte that came, or from the beginning of the wait.
    public var read: Duration?
    /// For a write: from the last byte that the kernel took, or from the beginning of the wait.
    public var write: Duration?

    /// Limits for both directions, or for one.
    public init(read: Duration? = nil, write: Duration? = nil) {
      self.read = read
      self.write = write
    }
  }

  /// How a stream behaves. One set for all kinds; what a kind does not have is without effect there.
  public struct Options: Hashable, Sendable {
    /// For how long a wait may go without a byte.
    public var timeouts = Timeouts()
    /// How many bytes may be queued before ``ByteStream/enqueue(_:)`` answers false. With 0 it takes one array at a
    /// time.
    public var writeQueueLimit = 256 * 1024
    /// The size of the kernel's buffer for what is sent, in bytes, at least 1; nil leaves it to the system. Linux
    /// doubles it. `SO_SNDBUF`.
    public var sendBufferSize: Int?
    /// The size of the kernel's buffer for what comes, in bytes, at least 1; nil leaves it to the system. Linux doubles
    /// it. `SO_RCVBUF`.
    public var receiveBufferSize: Int?
    /// TCP: sends small writes at once. `TCP_NODELAY`.
    public var noDelay = true
    /// TCP: how long nothing may come before the kernel asks whether the peer is still there; nil for never. Rounded up
    /// to whole seconds, from 1 to 32,767; anything else is refused with ``UVError/Code/invalidArgument``.
    /// `SO_KEEPALIVE`.
    public var keepAlive: Duration?
    /// TCP: from which address to connect; nil leaves it to the system.
    public var localAddress: SocketAddress?
    /// TCP: for how long ``EventLoop/connect(to:timeout:options:)`` tries one address before it tries the next one
    /// beside it (RFC 8305).
    public var attemptDelay: Duration = .milliseconds(250)
    /// Unix: whether streams can be sent over it, with ``PipeStream/send(_:with:)``, and received. Both ends have to
    /// agree: without it what comes is closed.
    public var passesStreams = false

    /// The defaults.
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
