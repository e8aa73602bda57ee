// The file is long because all callbacks of UDP are here and nowhere else.

import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension RequestKind {
  fileprivate static let send = RequestKind(rawValue: "send")
}

/// A `uv_udp_t`: the one place with its callbacks. Belongs to the loop's thread.
///
/// The socket is the library's own: libuv knows some of the options only as flags, and of one that it makes itself it
/// takes for granted that nothing watches its number.
@safe final class UDPEngine: Handle, DatagramTransport {
  let descriptor: Int32
  /// Of the socket, not of an address that it sends to.
  let family: SocketAddress.Family
  /// Whether a socket of IPv6 has nothing to do with IPv4.
  let isIPv6Only: Bool
  /// What it was bound to, with the port that the system has chosen.
  private var bound: SocketAddress
  private var receiver: UDPReceiver?
  /// Whether `uv_udp_recv_start` is in force.
  private var isStarted = false
  /// Datagrams are there, and nobody wants them.
  private var isUnwanted = false
  /// The interface that it was bound to before it had a peer, or a negative errno.
  private var interface: Int32 = -1

  init(on loop: LoopCore, _ address: SocketAddress, _ options: UDPSocket.Options) throws(UVError) {
    let call = "EventLoop.bindUDP"
    let descriptor = try check(Socket.make(address.rawFamily, Socket.datagram), call)
    self.descriptor = descriptor
    family = address.family
    isIPv6Only = address.family == .ipv6 && options.ipv6Only
    bound = address
    do throws(UVError) {
      try unsafe super.init(UV_UDP, "UDPSocket", on: loop) { uvLoop, memory in
        unsafe uv_udp_init(uvLoop, memory.bindMemory(to: uv_udp_t.self, capacity: 1))
      }
    } catch {
      Posix.close(descriptor)
      throw error
    }
    let status = loop.handles.afresh(descriptor) { unsafe uv_udp_open(uvUDP, descriptor) }
    do throws(UVError) {
      if status < 0 {
        // libuv has not taken it.
        Posix.close(descriptor)
        throw UVError(status: status, call: call)
      }
      try prepare(options, call)
      try bind(address, call)
      if let local = ListeningSocket.localAddress(of: descriptor) { bound = local }
    } catch {
      close(by: .owner)
      throw error
    }
  }

  private var uvUDP: UnsafeMutablePointer<uv_udp_t> { unsafe memory.assumingMemoryBound(to: uv_udp_t.self) }

  /// Also while it closes.
  override var watchedDescriptor: Int32? {
    var descriptor: Int32 = -1
    return unsafe uv_fileno(uvHandle, &descriptor) == 0 ? descriptor : nil
  }

  override var subject: String { " on \(bound)" }
  override var activeText: String { "receiving" }

  // MARK: - Binding

  private func prepare(_ options: UDPSocket.Options, _ call: String) throws(UVError) {
    // `uv_udp_open` sets one of them, which is for whoever shares the address, and nobody has asked for that.
    try check(Socket.set(descriptor, SOL_SOCKET, SO_REUSEADDR, options.reuseAddress ? 1 : 0), call)
    try check(Socket.set(descriptor, SOL_SOCKET, SO_REUSEPORT, options.reusePort ? 1 : 0), call)
    if options.broadcast { try unsafe check(uv_udp_set_broadcast(uvUDP, 1), call) }
    if family == .ipv6 {
      try check(Socket.set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, isIPv6Only ? 1 : 0), call)
    }
    #if os(Linux)
      // Else a socket gets what is sent to any group that anybody on this machine has joined. The numbers are those of
      // IP_MULTICAST_ALL and IPV6_MULTICAST_ALL, which not every C library has; nor has every kernel the second.
      if family == .ipv6 { _ = Socket.set(descriptor, Int32(IPPROTO_IPV6), 29, 0) }
      try check(Socket.set(descriptor, Int32(IPPROTO_IP), 49, 0), call)
    #endif
  }

  /// By libuv, which so learns the family, by which it sets the options of multicast.
  private func bind(_ address: SocketAddress, _ call: String) throws(UVError) {
    let flags: UInt32 = isIPv6Only ? UInt32(UV_UDP_IPV6ONLY.rawValue) : 0
    let status = unsafe address.withSockaddr { address, _ in unsafe uv_udp_bind(uvUDP, address, flags) }
    try check(status, call, hint: UDPEngine.hint(status, address))
  }

  private static func hint(_ status: Int32, _ address: SocketAddress) -> String? {
    switch UVError.Code(rawValue: status) {
    case .addressInUse: "Somebody else is bound to \(address). To share it, all must set the same options.reuse…"
    case .addressNotAvailable: "\(address) is not an address of this machine."
    case .permissionDenied: "\(address) needs rights that this process does not have."
    default: "The address is \(address)."
    }
  }

  var localAddress: SocketAddress { ListeningSocket.localAddress(of: descriptor) ?? bound }

  var peerAddress: SocketAddress? {
    var address: SocketAddress?
    _ = unsafe Socket.withPeerAddress(of: descriptor) { unsafe address = try? SocketAddress(unsafeBytes: $0) }
    return address
  }

  /// Whether it hears everybody again when it has no peer any more. Linux forgets the peer's address of IPv4 alone.
  var canLetGo: Bool {
    #if os(Linux)
      family != .ipv6
    #else
      true
    #endif
  }

  /// The interface that the socket is bound to, as an option of Linux (SO_BINDTOIFINDEX) that not every C library has.
  private static let boundInterface: Int32 = 62

  /// While it has no peer.
  func connect(to address: SocketAddress) throws(UVError) {
    #if os(Linux)
      interface = Socket.get(descriptor, SOL_SOCKET, UDPEngine.boundInterface)
    #endif
    let status = unsafe address.withSockaddr { address, _ in unsafe uv_udp_connect(uvUDP, address) }
    if status < 0 { throw UDPSender.explained(UVError(status: status, call: ""), "connect", 0, address) }
  }

  func disconnect() throws(UVError) {
    try unsafe check(uv_udp_connect(uvUDP, nil), "UDPSocket.connect")
    // What has come back of the old peer's would be the next call's error.
    _ = Socket.get(descriptor, SOL_SOCKET, SO_ERROR)
    #if os(Linux)
      // A disconnect takes that away too. Not every kernel has the option.
      if interface >= 0 && Socket.get(descriptor, SOL_SOCKET, UDPEngine.boundInterface) != interface {
        try check(Socket.set(descriptor, SOL_SOCKET, UDPEngine.boundInterface, interface), "UDPSocket.connect")
      }
    #endif
    // Linux lets go of a port that it has chosen itself.
    if localAddress.port == bound.port { return }
    let status = unsafe bound.withUnsafeBytes { unsafe Socket.bind(descriptor, $0) }
    try check(status, "UDPSocket.connect", hint: UDPEngine.hint(status, bound))
  }

  // MARK: - Receiving

  func startReceiving(into receiver: UDPReceiver) throws(UVError) {
    isUnwanted = false
    if isStarted { return }
    if let closeReason = state.closeReason { throw closedError("receive", closeReason) }
    self.receiver = receiver
    let status = unsafe uv_udp_recv_start(
      uvUDP,
      { handle, _, buffer in
        guard let data = unsafe handle?.pointee.data, let buffer = unsafe buffer else { return }
        unsafe Unmanaged<UDPEngine>.fromOpaque(data)._withUnsafeGuaranteedRef { unsafe $0.allocate(buffer) }
      },
      { handle, count, _, address, flags in
        guard let data = unsafe handle?.pointee.data else { return }
        unsafe Unmanaged<UDPEngine>.fromOpaque(data)._withUnsafeGuaranteedRef {
          unsafe $0.came(count, from: address, flags)
        }
      })
    try check(status, "UDPSocket.receive")
    isStarted = true
    if loop.time.virtual != nil { loop.handles.callBeforePoll(self) }
    activate(.receiving)
  }

  private func stopReceiving() {
    if !isStarted { return }
    isStarted = false
    _ = unsafe uv_udp_recv_stop(uvUDP)
    receiver?.stopped()
    deactivate(.receiving)
  }

  @inline(__always)
  private func allocate(_ buffer: UnsafeMutablePointer<uv_buf_t>) {
    let room = unsafe receiver?.room()
    unsafe buffer.pointee.base = room?.baseAddress?.assumingMemoryBound(to: CChar.self)
    unsafe buffer.pointee.len = room?.count ?? 0
  }

  @inline(__always)
  private func came(_ count: Int, from address: UnsafePointer<sockaddr>?, _ flags: UInt32) {
    if count >= 0 {
      // Without a sender there is nothing now. An empty datagram has one.
      guard let address = unsafe address, let peer = unsafe SocketAddress(sender: address) else { return }
      receiver?.received(count, from: peer, isTruncated: flags & UInt32(UV_UDP_PARTIAL.rawValue) != 0)
    } else if count == Int(UV_ENOBUFS.rawValue) {
      // Receiving goes on if somebody wants it before the poll.
      isUnwanted = true
      loop.handles.callBeforePoll(self)
    } else {
      receiver?.failed(UVError(status: Int32(truncatingIfNeeded: count), call: "UDPSocket.receive"))
    }
  }

  override func beforePoll() -> Bool {
    if !isStarted { return false }
    if loop.time.virtual != nil {
      // A socket that is merely open must not hold the time.
      if receiver?.isWaiting != true { isUnwanted = true }
      loop.handles.callBeforePoll(self)
    }
    if isUnwanted {
      isUnwanted = false
      stopReceiving()
    }
    return false
  }

  // MARK: - Sending

  func trySend(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) throws(UVError) -> Bool {
    var buffer = unsafe UDPEngine.buffer(bytes)
    let status: Int32
    if let address {
      status = unsafe address.withSockaddr { address, _ in unsafe uv_udp_try_send(uvUDP, &buffer, 1, address) }
    } else {
      status = unsafe uv_udp_try_send(uvUDP, &buffer, 1, nil)
    }
    if status >= 0 { return true }
    if status == Int32(UV_EAGAIN.rawValue) { return false }
    throw UVError(status: status, call: "UDPSocket.send")
  }

  func send(_ datagram: RequestBuffer, to address: SocketAddress?, done: @escaping (UVError?) -> Void) {
    let request = SendRequest(on: loop, datagram, done)
    var buffer = unsafe UDPEngine.buffer(UnsafeRawBufferPointer(start: datagram.start, count: datagram.count))
    let socket = unsafe uvUDP
    unsafe request.start { memory in
      let request = unsafe memory.assumingMemoryBound(to: uv_udp_send_t.self)
      let finish: uv_udp_send_cb = { request, status in unsafe PendingRequest.finish(request?.pointee.data, status) }
      guard let address else { return unsafe uv_udp_send(request, socket, &buffer, 1, nil, finish) }
      return unsafe address.withSockaddr { address, _ in
        unsafe uv_udp_send(request, socket, &buffer, 1, address, finish)
      }
    }
  }

  private static func buffer(_ bytes: UnsafeRawBufferPointer) -> uv_buf_t {
    let base = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
    return unsafe uv_buf_t(base: base, len: bytes.count)
  }

  // MARK: - Options

  // libuv reads the addresses of groups and interfaces as text.

  func setMembership(
    of group: String, on interface: String?, from source: String?, _ membership: uv_membership
  ) -> Int32 {
    guard let source else { return unsafe uv_udp_set_membership(uvUDP, group, interface, membership) }
    return unsafe uv_udp_set_source_membership(uvUDP, group, interface, source, membership)
  }

  func setMulticastInterface(_ address: String?) -> Int32 { unsafe uv_udp_set_multicast_interface(uvUDP, address) }

  func setMulticastLoop(_ isOn: Bool) -> Int32 { unsafe uv_udp_set_multicast_loop(uvUDP, isOn ? 1 : 0) }

  func setMulticastTimeToLive(_ hops: Int32) -> Int32 { unsafe uv_udp_set_multicast_ttl(uvUDP, hops) }

  func setTimeToLive(_ hops: Int32) -> Int32 { unsafe uv_udp_set_ttl(uvUDP, hops) }

  // MARK: - The end

  override func willClose() {
    isStarted = false
    let receiver = receiver.take()
    if case .loop? = state.closeReason { receiver?.close(.loopClosed) }
  }

  override func willFree() { loop.network.descriptorIsFree() }
}

extension HandleActivity {
  /// Datagrams are received, or waited for.
  fileprivate static let receiving = HandleActivity(rawValue: 2)
}

extension SocketAddress {
  /// Who sent a datagram, as libuv has it: in a `sockaddr_storage`.
  fileprivate init?(sender: UnsafePointer<sockaddr>) {
    let size =
      unsafe Int32(sender.pointee.sa_family) == AF_INET6
      ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
    do throws(UVError) { unsafe try self.init(sender, count: size) } catch { return nil }
  }
}

/// A datagram that libuv has. The callback always comes, at the latest when the handle closes.
private final class SendRequest: PendingRequest, @unchecked Sendable {  // Holds as for all requests.
  private let datagram: RequestBuffer
  private var done: ((UVError?) -> Void)?

  init(on loop: LoopCore, _ datagram: RequestBuffer, _ done: @escaping (UVError?) -> Void) {
    self.datagram = datagram
    self.done = done
    // A shutdown closes the handle, and with it this ends.
    super.init(.send, UV_UDP_SEND, on: loop, isAwaited: false)
  }

  func start(_ submit: (UnsafeMutableRawPointer) -> Int32) {
    let status = unsafe self.submit { unsafe submit($1) }
    if status < 0 { ended(status) }
  }

  override func ended(_ status: Int32) {
    let done = done.take()
    done?(status < 0 ? UVError(status: status, call: "UDPSocket.send") : nil)
  }
}
