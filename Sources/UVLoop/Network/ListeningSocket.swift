#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A socket that listens, and the name that it has in the file system.
struct ListeningSocket {
  let descriptor: Int32
  /// Where it really listens: with the port that the system has chosen.
  let address: SocketAddress
  /// Of a Unix socket that was made here.
  let path: SocketPath?
  /// Whether somebody else had the descriptor, and may still know its number.
  let isAdopted: Bool
  /// Of one that a service manager has passed.
  var claim: SocketClaim?

  /// Opens, binds and listens.
  static func open<Stream>(
    on address: SocketAddress, _ options: Listener<Stream>.Options, ipv6Only: Bool
  ) throws(UVError) -> ListeningSocket {
    let call = "EventLoop.listen"
    let descriptor = try check(Socket.make(address.rawFamily), call)
    do throws(UVError) {
      return try listening(descriptor, on: address, options, ipv6Only, call)
    } catch {
      Posix.close(descriptor)
      throw error
    }
  }

  private static func listening<Stream>(
    _ descriptor: Int32, on address: SocketAddress, _ options: Listener<Stream>.Options, _ ipv6Only: Bool,
    _ call: String
  ) throws(UVError) -> ListeningSocket {
    var path: SocketPath?
    if address.family == .unix {
      path = try SocketPath.bind(descriptor, to: address, replacesStale: options.replacesStaleSocket, call)
      if let permissions = options.permissions, let path {
        do throws(UVError) { try path.setPermissions(permissions, call) } catch {
          path.remove()
          throw error
        }
      }
    } else {
      try check(Socket.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1), call)
      if options.reusePort { try check(Socket.set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1), call) }
      if address.family == .ipv6 {
        try check(Socket.set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, ipv6Only ? 1 : 0), call)
      }
      let status = unsafe address.withUnsafeBytes { unsafe Socket.bind(descriptor, $0) }
      try check(status, call, hint: hint(status, address))
    }
    let status = Socket.listen(descriptor, backlog: Int32(clamping: options.backlog))
    do throws(UVError) {
      try check(status, call, hint: hint(status, address))
    } catch {
      path?.remove()
      throw error
    }
    return ListeningSocket(
      descriptor: descriptor, address: localAddress(of: descriptor) ?? address, path: path, isAdopted: false)
  }

  static func localAddress(of descriptor: Int32) -> SocketAddress? {
    var address: SocketAddress?
    _ = unsafe Socket.withLocalAddress(of: descriptor) { unsafe address = try? SocketAddress(unsafeBytes: $0) }
    return address
  }

  private static func hint(_ status: Int32, _ address: SocketAddress) -> String? {
    switch UVError.Code(rawValue: status) {
    case .addressInUse: "Something else listens on \(address) already."
    case .addressNotAvailable: "\(address) is not an address of this machine."
    case .permissionDenied: "\(address) needs rights that this process does not have."
    default: "The address is \(address)."
    }
  }
}

extension ListeningSocket {
  /// How often another port is tried, where one that is free for the first address is not for the others.
  private static var attempts: Int { 8 }

  /// One for all interfaces, or one on each of the addresses.
  static func open<Stream>(
    at addresses: [SocketAddress], _ options: Listener<Stream>.Options
  ) throws(UVError) -> [ListeningSocket] {
    addresses.allSatisfy(\.isUnspecified) ? [try open(onAny: addresses, options)] : try open(all: addresses, options)
  }

  /// One on each of the addresses, all with the same port.
  ///
  /// One that comes twice counts once. Those of a family that this machine has not are left out, if others remain: a
  /// host's file may name what the kernel has not.
  static func open<Stream>(
    all addresses: [SocketAddress], _ options: Listener<Stream>.Options
  ) throws(UVError) -> [ListeningSocket] {
    var known: Set<SocketAddress> = []
    let addresses = addresses.filter { known.insert($0).inserted }
    var left = attempts
    while true {
      left -= 1
      var sockets: [ListeningSocket] = []
      var missing: UVError?
      do throws(UVError) {
        for address in addresses {
          let port = sockets.first?.address.port ?? address.port ?? 0
          do throws(UVError) {
            sockets.append(
              try open(on: address.withPort(port), options, ipv6Only: options.ipv6Only || addresses.count > 1))
          } catch {
            if !isFamilyMissing(error, address) { throw error }
            missing = error
          }
        }
        if let missing, sockets.isEmpty { throw missing }
        return sockets
      } catch {
        for socket in sockets { socket.close() }
        let isChosen = addresses.first?.port == 0
        if !isChosen || sockets.isEmpty || error.code != .addressInUse || left == 0 { throw error }
      }
    }
  }

  /// On the first of the addresses that this machine can have: both families with one socket where there is IPv6.
  static func open<Stream>(
    onAny addresses: [SocketAddress], _ options: Listener<Stream>.Options
  ) throws(UVError) -> ListeningSocket {
    for address in addresses.dropLast() {
      do throws(UVError) {
        return try open(on: address, options, ipv6Only: options.ipv6Only)
      } catch {
        if !isFamilyMissing(error, address) { throw error }
      }
    }
    guard let last = addresses.last else { fatalError("UVLoop: there is no address to listen on.") }
    return try open(on: last, options, ipv6Only: options.ipv6Only)
  }

  /// Without IPv6 there may be no such socket, or no such address, though every machine with IPv6 has both of these.
  private static func isFamilyMissing(_ error: UVError, _ address: SocketAddress) -> Bool {
    error.code == .addressFamilyNotSupported
      || error.code == .addressNotAvailable && address.family == .ipv6 && (address.isLoopback || address.isUnspecified)
  }

  /// Whether a connection's own address is another one.
  var isWildcard: Bool { address.isUnspecified }

  func close() {
    path?.remove()
    Posix.close(descriptor)
    claim?.end()
  }

  /// The descriptor, for somebody who is not of the library. One that a service manager has passed is free to be
  /// listened on again.
  func detach() -> Int32 {
    claim?.end()
    return descriptor
  }

  /// One that listens already, and is closed where this throws.
  init(adopting descriptor: consuming OwnedDescriptor, isUnix wanted: Bool?) throws(UVError) {
    let address = try ListeningSocket.address(of: descriptor.rawValue, isUnix: wanted, "Listener.init")
    self.init(descriptor: descriptor.release(), address: address, path: nil, isAdopted: true)
  }

  /// Of one that listens for streams of the kind that is wanted, nil for either. Refuses what is something else.
  static func address(of number: Int32, isUnix wanted: Bool?, _ call: String) throws(UVError) -> SocketAddress {
    try check(Socket.type(of: number), call, hint: "Descriptor \(number) is no socket.")
    let isUnix = Socket.family(of: number) == AF_UNIX
    if !Socket.isListening(number) || Socket.type(of: number) != Socket.stream {
      throw UVError(
        .invalidArgument, call: call, "Descriptor \(number) is a socket that does not listen for streams.")
    }
    if let wanted, wanted != isUnix {
      throw UVError(
        .invalidArgument, call: call,
        "Descriptor \(number) is a \(isUnix ? "Unix" : "TCP") socket, and this listener is for the other kind.")
    }
    guard let address = ListeningSocket.localAddress(of: number) else {
      throw UVError(.invalidArgument, call: call, "Descriptor \(number) has an address of an unknown kind.")
    }
    return address
  }

  /// Of which kind a type's streams are; nil for either.
  static func isUnix<Stream: ByteStream>(_ type: Stream.Type) -> Bool? {
    type == PipeStream.self ? true : type == TCPStream.self ? false : nil
  }
}
