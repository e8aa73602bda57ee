import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension EventLoop {
  /// The addresses of a host, as the C library finds them: in its files, by DNS, or however the system is set up.
  ///
  /// ```swift
  /// let addresses = try await loop.resolve("example.org", service: "https")
  /// ```
  ///
  /// All of its addresses are there, in the C library's order, which is the one to try them in (RFC 6724). A numeric host
  /// in its usual form, as `127.0.0.1` or `fe80::1%eth0`, is answered without a look-up.
  ///
  /// A look-up holds one of the pool's threads until the C library has answered, which takes seconds where a name server
  /// is silent. libuv lets look-ups have at most half of the threads, rounded up, so that slow names hold up each other
  /// and not the files: limit how many are under way, or enlarge the pool with ``ThreadPool/setSize(_:)``.
  ///
  /// - Parameters:
  ///   - host: A name or a numeric address, of at most 253 bytes. A name of another script is sent as libuv writes it in
  ///     ASCII, which must not be longer either.
  ///   - port: What the addresses get as their port.
  ///   - service: A port by its name among TCP's services, or in digits, instead of `port`.
  ///   - family: Only addresses of it, or `nil` for IPv4 and IPv6.
  /// - Returns: One address or more.
  /// - Throws: ``UVError/Code/addressInfoUnknownName`` if the host is not known;
  ///   ``UVError/Code/addressInfoTemporaryFailure`` if no name server answered;
  ///   ``UVError/Code/addressInfoNoData`` or ``UVError/Code/addressInfoAddressFamilyNotSupported`` if it has no address of
  ///   the family; ``UVError/Code/addressInfoServiceNotAvailable`` if TCP does not have the service, and other codes of
  ///   look-ups, as the C library has them; ``UVError/Code/invalidArgument`` for a host or service that is empty, has a
  ///   zero byte or is too long, for a port beside a service, and for the family of Unix sockets;
  ///   ``UVError/Code/loopClosed`` when the loop shuts down, or has; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: Ends the wait at once. What waits for a thread is taken out of the pool's queue; a look-up that runs
  /// cannot be stopped, holds its thread until it ends, and its answer is dropped. A shutdown does not wait for the thread.
  ///
  /// > libuv: `uv_getaddrinfo`, with `SOCK_STREAM` as the type of socket and no flags.
  public nonisolated(nonsending) func resolve(
    _ host: String, port: UInt16 = 0, service: String? = nil, family: SocketAddress.Family? = nil
  ) async throws -> [SocketAddress] {
    let query = try AddressQuery(host: host, port: port, service: service, family: family, call: "resolve")
    if let address = query.numericAnswer {
      try Task.checkCancellation()
      core.requireOwnProcess()
      try core.requireRunning("resolve")
      return [address]
    }
    return try await core.addresses(query, "resolve")
  }

  /// The name of an address, and of the service at its port.
  ///
  /// An address without a name gives itself in numbers, with its scope, unless `requiresName` is true; a port without a
  /// service always does. A name that comes of a name server is whatever its owner wrote there: before it is trusted,
  /// ``resolve(_:port:service:family:)`` has to lead back to the address.
  ///
  /// It holds one of the pool's threads, as ``resolve(_:port:service:family:)`` does.
  ///
  /// - Parameters:
  ///   - address: Of IPv4 or IPv6.
  ///   - requiresName: Whether an address without a name is an error.
  /// - Throws: ``UVError/Code/addressInfoUnknownName`` if it has no name and `requiresName` is true;
  ///   ``UVError/Code/addressInfoTemporaryFailure`` if that could not be found out, and other codes of look-ups, as the C
  ///   library has them; ``UVError/Code/invalidArgument`` for a Unix socket; ``UVError/Code/loopClosed`` when the loop
  ///   shuts down, or has; `CancellationError`.
  ///
  /// > Isolation: Call it anywhere; it resumes on the caller's isolation.
  ///
  /// > Cancellation: As in ``resolve(_:port:service:family:)``.
  ///
  /// > libuv: `uv_getnameinfo`, with `NI_NAMEREQD` if `requiresName` is true. The service is that of TCP.
  public nonisolated(nonsending) func reverseResolve(
    _ address: SocketAddress, requiresName: Bool = false
  ) async throws -> (host: String, service: String) {
    if address.family == .unix {
      throw UVError(
        .invalidArgument, call: "reverseResolve", "\(address) is the address of a Unix socket, which has no host.")
    }
    return try await core.names(address, requiresName ? NI_NAMEREQD : 0, "reverseResolve")
  }
}
