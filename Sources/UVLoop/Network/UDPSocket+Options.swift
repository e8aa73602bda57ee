extension UDPSocket {
  /// How a socket is bound, and how it receives.
  public struct Options: Hashable, Sendable {
    /// Lets others bind to the same address who set it too. What is sent to one of them comes to the last, and what is
    /// sent to a multicast group to all. `SO_REUSEADDR`.
    public var reuseAddress = false
    /// Lets others of the same user bind to the same address who set it too. On Linux the kernel spreads what comes
    /// over them by a hash of its sender. `SO_REUSEPORT`.
    public var reusePort = false
    /// Of an IPv6 address that stands for all interfaces: has nothing to do with IPv4. `IPV6_V6ONLY`.
    public var ipv6Only = false
    /// Lets it send to broadcast addresses. `SO_BROADCAST`.
    public var broadcast = false
    /// The largest datagram that is received whole, in bytes, from 1 to 65,535. A larger one is cut, and says so.
    public var maximumSize = 65_507
    /// How many datagrams are held here while nobody receives, at least 1. Those that come later wait in the kernel,
    /// which drops what it has no room for.
    public var capacity = 64

    /// The defaults.
    public init() {}
  }
}

extension UDPSocket.Options {
  /// Refuses what cannot be.
  func validate(_ call: @autoclosure () -> String) throws(UVError) {
    if maximumSize < 1 || maximumSize > 65_535 {
      throw UVError(
        .invalidArgument, call: "\(call()): options.maximumSize",
        "A maximum of \(maximumSize) bytes is not possible. Give 1 to 65,535, which is more than any datagram has.")
    }
    if capacity < 1 {
      throw UVError(
        .invalidArgument, call: "\(call()): options.capacity",
        "A capacity of \(capacity) leaves no room for a datagram. Give at least 1.")
    }
  }
}
