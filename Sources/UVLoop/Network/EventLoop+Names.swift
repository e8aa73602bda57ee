import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension EventLoop {
  /// Looks up the addresses of a host, as the C library does: in its files, by DNS, or however the system is set up.
  ///
  /// ```swift
  /// let addresses = try await loop.resolve("example.org", service: "https")
  /// ```
  ///
  /// All addresses are returned, in the C library's order, which is the order to try them in (RFC 6724). A numeric host
  /// in its usual form, `127.0.0.1` or `fe80::1%eth0`, is answered without a look-up.
  ///
  /// A look-up holds one of the pool's threads until the C library has answered. With a silent name server that takes
  /// seconds. libuv gives look-ups at most half of the threads, rounded up, so slow names delay each other but not
  /// files. If many names may be slow, limit how many you look up at once, or make the pool larger with
  /// ``ThreadPool/setSize(_:)``.
  ///
  /// - Parameters:
  ///   - host: A name or a numeric address, of at most 253 bytes. libuv converts names in other scripts to ASCII, and
  ///     that form must not be longer either.
  ///   - port: The port that the addresses get.
  ///   - service: The name of a TCP service, or a port in digits, instead of `port`.
  ///   - family: Only addresses of this family; `nil` for IPv4 and IPv6.
  /// - Returns: One address or more.
  /// - Throws: ``UVError/Code/addressInfoUnknownName`` if the host is not known;
  ///   ``UVError/Code/addressInfoTemporaryFailure`` if no name server answered;
  ///   ``UVError/Code/addressInfoNoData`` or ``UVError/Code/addressInfoAddressFamilyNotSupported`` if it has no address
  ///   of the family; ``UVError/Code/addressInfoServiceNotAvailable`` if TCP does not have the service, and other codes
  ///   of look-ups, as the C library has them; ``UVError/Code/invalidArgument`` for a host or service that is empty or
  ///   has a zero byte, for a host that is too long, for a port beside a service, and for the family of Unix sockets;
  ///   ``UVError/Code/loopClosed`` when the loop shuts down, or has; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait at once. A look-up that waits for a thread is taken out of the pool's queue. A
  /// running one cannot be stopped: it holds its thread until it ends, and its answer is dropped.
  ///
  /// > libuv: `uv_getaddrinfo`, with `SOCK_STREAM` as the type of socket and no flags.
  public nonisolated(nonsending) func resolve(
    _ host: String, port: UInt16 = 0, service: String? = nil, family: SocketAddress.Family? = nil
  ) async throws -> [SocketAddress] {
    let query = try AddressQuery(host: host, port: port, service: service, family: family, call: "resolve")
    if let address = query.numericAnswer {
      try Task.checkCancellation()
      requireOwnProcess()
      try requireRunning("resolve")
      return [address]
    }
    return try await AddressLookup.addresses(query, on: core, "resolve")
  }

  /// Looks up the name of an address, and of the service at its port.
  ///
  /// Without a name, `host` is the address in numbers with its scope, unless `requiresName` is true. Without a service,
  /// `service` is the port in digits. A name from a name server is whatever the owner of the address wrote there:
  /// before you trust it, check that ``resolve(_:port:service:family:)`` leads back to the address.
  ///
  /// It holds one of the pool's threads, as ``resolve(_:port:service:family:)`` does.
  ///
  /// - Parameters:
  ///   - address: An IPv4 or IPv6 address.
  ///   - requiresName: Whether an address without a name is an error.
  /// - Throws: ``UVError/Code/addressInfoUnknownName`` if it has no name and `requiresName` is true;
  ///   ``UVError/Code/addressInfoTemporaryFailure`` if no name server answered, and other codes of look-ups, as the C
  ///   library has them; ``UVError/Code/invalidArgument`` for a Unix socket; ``UVError/Code/loopClosed`` when the loop
  ///   shuts down, or has; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As in ``resolve(_:port:service:family:)``.
  ///
  /// > libuv: `uv_getnameinfo`, with `NI_NAMEREQD` if `requiresName` is true. The service is TCP's.
  public nonisolated(nonsending) func reverseResolve(
    _ address: SocketAddress, requiresName: Bool = false
  ) async throws -> (host: String, service: String) {
    if address.family == .unix {
      throw UVError(
        .invalidArgument, call: "reverseResolve", "\(address) is the address of a Unix socket, which has no host.")
    }
    return try await AddressLookup.names(address, requiresName ? NI_NAMEREQD : 0, on: core, "reverseResolve")
  }
}
