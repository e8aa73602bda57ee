extension Listener {
  /// How a listener behaves.
  public struct Options: Sendable {
    /// How many connections may wait to be accepted. The system may allow less (`net.core.somaxconn`).
    public var backlog = 4096
    /// Lets several sockets listen on one port, between which the kernel chooses. `SO_REUSEPORT`.
    public var reusePort = false
    /// Of an IPv6 address that stands for all interfaces: takes no connections by IPv4.
    public var ipv6Only = false
    /// Of a Unix socket's file: its mode, such as `0o660`; nil leaves what the process's mask makes of it.
    public var permissions: UInt16?
    /// Of a Unix socket: replaces the file of one at which nobody listens any more.
    public var replacesStaleSocket = true
    /// Of the streams that are accepted.
    public var stream = ByteStream.Options()

    /// The defaults.
    public init() {}

    func validate() throws(UVError) {
      if backlog < 1 {
        throw UVError(
          .invalidArgument, call: "Listener.Options",
          "A backlog of \(backlog) lets nobody in. Give at least 1.")
      }
      try stream.validate("Listener.Options.stream")
    }
  }

  /// What has come of a listener so far.
  public typealias Statistics = ListenerStatistics
}

/// What has come of a listener so far.
public struct ListenerStatistics: Hashable, Sendable, Codable {
  /// Connections that were accepted and given out.
  public let accepted: Int
  /// Connections that `serve` has open.
  public let open: Int
  /// Connections that were lost before anybody got them, or whose options the system refused.
  public let failed: Int
  /// How often accepting has stopped for want of a descriptor.
  public let backOffs: Int
}
