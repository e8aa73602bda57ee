import CLibUV

extension UDPSocket {
  /// Receives what is sent to a group, from now on.
  ///
  /// ```swift
  /// let socket = try await loop.bindUDP(to: .any(port: 5353))
  /// try socket.joinGroup(try .ip("224.0.0.251", port: 5353))
  /// ```
  ///
  /// The socket has to be bound to the port to which the group's datagrams are sent. It gets those of the groups that
  /// it has joined, and of no others that somebody else on this machine has joined. A membership ends with
  /// ``leaveGroup(_:interface:source:isolation:)`` or with the socket.
  ///
  /// - Parameters:
  ///   - group: Its port has no meaning here. The scope of an IPv6 address says on which interface, if `interface` does
  ///     not. A socket of IPv6 can join groups of IPv4 too, unless it is for IPv6 alone.
  ///   - interface: Where to listen: the name of an interface, such as `eth0`, or an address of it; nil leaves it to
  ///     the system, which goes by its routes.
  ///   - source: Only what this host sends to the group (source-specific multicast); nil for everybody.
  ///   - isolation: The loop's own isolation; leave it out.
  /// - Throws: ``UVError/Code/invalidArgument`` for an address that is no group's, or a source of another family;
  ///   ``UVError/Code/addressInUse`` where it is a member already, and with a source
  ///   ``UVError/Code/addressNotAvailable``; ``UVError/Code/noSuchAddressOrDevice`` for an
  ///   interface that does not exist; ``UVError/Code/addressNotAvailable`` for an address that no interface has, or an
  ///   interface without one for IPv4; ``UVError/Code/operationNotSupportedByDevice`` where no interface is given and
  ///   no route leads there; ``UVError/Code/noBufferSpace`` beyond the system's number of groups; other codes of the
  ///   system; ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_udp_set_membership`, `uv_udp_set_source_membership`.
  public func joinGroup(
    _ group: SocketAddress, interface: String? = nil, source: SocketAddress? = nil,
    isolation: isolated any LoopActor = #isolation
  ) throws(UVError) {
    try inner.setMembership(of: group, interface, source, UV_JOIN_GROUP, "joinGroup")
  }

  /// Ends a membership. The parameters are those of the `joinGroup` that began it.
  ///
  /// - Throws: ``UVError/Code/addressNotAvailable`` where it is no member, and with a source of a group of which it has
  ///   no other one ``UVError/Code/invalidArgument``; what
  ///   ``joinGroup(_:interface:source:isolation:)`` throws.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_udp_set_membership`, `uv_udp_set_source_membership`.
  public func leaveGroup(
    _ group: SocketAddress, interface: String? = nil, source: SocketAddress? = nil,
    isolation: isolated any LoopActor = #isolation
  ) throws(UVError) {
    try inner.setMembership(of: group, interface, source, UV_LEAVE_GROUP, "leaveGroup")
  }

  /// Over how many routers a datagram may go that is sent to a host: one less at each, and with the last it is dropped.
  ///
  /// Of a socket of IPv6 it is for what goes by IPv6.
  ///
  /// - Parameters:
  ///   - hops: From 1, which stays in the local network, to 255. Linux begins with 64.
  ///   - isolation: The loop's own isolation; leave it out.
  /// - Throws: ``UVError/Code/invalidArgument``; ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``;
  ///   ``UVError/Code/loopClosed``; the system's code.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_udp_set_ttl`.
  public func setTimeToLive(_ hops: Int, isolation: isolated any LoopActor = #isolation) throws(UVError) {
    try inner.set("setTimeToLive", try UDPCore.hops(hops, in: 1...255, "setTimeToLive")) { $0.setTimeToLive($1) }
  }

  /// Over how many routers a datagram may go that is sent to a group.
  ///
  /// Of a socket of IPv6 it is for what goes by IPv6.
  ///
  /// - Parameters:
  ///   - hops: From 0, which does not leave this machine, to 255. The system begins with 1: the local network.
  ///   - isolation: The loop's own isolation; leave it out.
  /// - Throws: ``UVError/Code/invalidArgument``; ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``;
  ///   ``UVError/Code/loopClosed``; the system's code.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_udp_set_multicast_ttl`.
  public func setMulticastTimeToLive(_ hops: Int, isolation: isolated any LoopActor = #isolation) throws(UVError) {
    try inner.set("setMulticastTimeToLive", try UDPCore.hops(hops, in: 0...255, "setMulticastTimeToLive")) {
      $0.setMulticastTimeToLive($1)
    }
  }

  /// Whether what is sent to a group comes to its members on this machine too, as it does in the beginning.
  ///
  /// Of a socket of IPv6 it is for what goes by IPv6.
  ///
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``; the system's
  ///   code.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_udp_set_multicast_loop`.
  public func setMulticastLoop(_ on: Bool, isolation: isolated any LoopActor = #isolation) throws(UVError) {
    try inner.set("setMulticastLoop", on) { $0.setMulticastLoop($1) }
  }

  /// By which interface datagrams leave that are sent to a group.
  ///
  /// Of a socket of IPv6 it is for what goes by IPv6.
  ///
  /// - Parameters:
  ///   - interface: Its name, such as `eth0`, or an address of it; nil leaves it to the system, which goes by its
  ///     routes.
  ///   - isolation: The loop's own isolation; leave it out.
  /// - Throws: ``UVError/Code/noSuchAddressOrDevice`` for an interface that does not exist;
  ///   ``UVError/Code/addressNotAvailable`` for an address that no interface has, or an interface without one for IPv4;
  ///   ``UVError/Code/handleClosed``; ``UVError/Code/notOnLoop``; ``UVError/Code/loopClosed``; the system's code.
  ///
  /// > Isolation: On its loop only; nothing else compiles.
  ///
  /// > libuv: `uv_udp_set_multicast_interface`.
  public func setMulticastInterface(
    _ interface: String?, isolation: isolated any LoopActor = #isolation
  ) throws(UVError) {
    let name: StaticString = "setMulticastInterface"
    try inner.requireOpen(name)
    var address: String?
    if let interface {
      address = try NetworkInterface(interface, UDPCore.call(name)).text(for: inner.engine.family, UDPCore.call(name))
    }
    try inner.set(name, address) { $0.setMulticastInterface($1) }
  }
}

extension UDPCore {
  static func hops(_ hops: Int, in range: ClosedRange<Int>, _ name: StaticString) throws(UVError) -> Int32 {
    if range.contains(hops) { return Int32(hops) }
    throw UVError(
      .invalidArgument, call: call(name),
      "\(hops) hops are not possible. Give \(range.lowerBound) to \(range.upperBound).")
  }

  /// Sets an option of an open socket.
  fileprivate func set<Value>(
    _ name: StaticString, _ value: @autoclosure () throws(UVError) -> Value, _ body: (UDPEngine, Value) -> Int32
  ) throws(UVError) {
    try requireOpen(name)
    try check(body(engine, try value()), UDPCore.call(name))
  }

  fileprivate func setMembership(
    of group: SocketAddress, _ interface: String?, _ source: SocketAddress?, _ membership: uv_membership,
    _ name: StaticString
  ) throws(UVError) {
    try requireOpen(name)
    let host = try requireGroup(group, name)
    if let source { try UDPCore.requireSource(source, of: group, name) }
    let place = try UDPCore.interface(interface, of: group, name)
    let status = engine.setMembership(of: host, on: place, from: source?.host, membership)
    try check(status, UDPCore.call(name), hint: UDPCore.hint(status, group, membership, source))
  }

  private func requireGroup(_ group: SocketAddress, _ name: StaticString) throws(UVError) -> String {
    guard group.isMulticast, let host = group.host else {
      throw UVError(
        .invalidArgument, call: UDPCore.call(name),
        "\(group) is not the address of a group. Those are 224.0.0.0 to 239.255.255.255, and ff00::/8.")
    }
    let isPossible = group.family == engine.family || group.family == .ipv4 && !engine.isIPv6Only
    if isPossible { return host }
    throw UVError(
      .invalidArgument, call: UDPCore.call(name),
      "\(group) is a group of another family than this socket. Bind one to `.any(port:family:)` of the group's.")
  }

  private static func requireSource(
    _ source: SocketAddress, of group: SocketAddress, _ name: StaticString
  ) throws(UVError) {
    if source.family == group.family && !source.isMulticast && !source.isUnspecified { return }
    throw UVError(
      .invalidArgument, call: call(name), "\(source) is not the address of a host that could send to \(group).")
  }

  private static func interface(
    _ text: String?, of group: SocketAddress, _ name: StaticString
  ) throws(UVError) -> String? {
    if let text { return try NetworkInterface(text, call(name)).text(for: group.family, call(name)) }
    guard let scope = group.scopeID, scope != 0 else { return nil }
    return try NetworkInterface(index: scope, call(name)).text(for: group.family, call(name))
  }

  private static func hint(
    _ status: Int32, _ group: SocketAddress, _ membership: uv_membership, _ source: SocketAddress?
  ) -> String? {
    let isJoin = membership == UV_JOIN_GROUP
    return switch UVError.Code(rawValue: status) {
    case .addressInUse where isJoin: "It is a member of \(group) there already."
    case .addressNotAvailable where isJoin && source != nil:
      "It may be a member of \(group) there already, for what \(source?.host ?? "") sends."
    case .addressNotAvailable where !isJoin: "It is no member of \(group) there."
    case .invalidArgument where !isJoin && source != nil: "It is no member of \(group) there, for any source."
    case .operationNotSupportedByDevice: "Name the interface: no route leads to \(group)."
    default: nil
    }
  }
}
