/// Where to connect, or to listen. Its type says of which kind the streams are that come of it.
///
/// ```swift
/// let stream = try await loop.connect(to: .tcp("example.org", 80))
/// let listener = try await loop.listen(on: .unix("/run/greet.sock"))
/// ```
///
/// A value: nothing is looked up, opened or bound before it is used.
public struct StreamEndpoint<Stream: ByteStream>: Hashable, Sendable, CustomStringConvertible {
  let location: StreamLocation

  init(_ location: StreamLocation) { self.location = location }

  /// The endpoint as `StreamEndpoint<ByteStream>.text` reads it: `tcp://example.org:80`, `unix:/run/greet.sock`.
  public var description: String { location.description }
}

/// A TCP endpoint: its streams are of type ``TCPStream``.
public typealias TCPEndpoint = StreamEndpoint<TCPStream>

/// An endpoint of a Unix socket: its streams are of type ``PipeStream``.
public typealias UnixEndpoint = StreamEndpoint<PipeStream>

/// An endpoint whose kind is known only at run time, from a configuration for instance. Its streams are of type
/// ``TCPStream`` or ``PipeStream``.
public typealias AnyEndpoint = StreamEndpoint<ByteStream>

/// What an endpoint says.
enum StreamLocation: Hashable, Sendable, CustomStringConvertible {
  case name(String, UInt16)
  case socket(SocketAddress)
  case allInterfaces(UInt16)
  case activated(String?)

  var description: String {
    switch self {
    case .name(let host, let port): "tcp://\(host):\(port)"
    case .socket(let address) where address.family != .unix: "tcp://\(address)"
    // A relative path says already what it is.
    case .socket(let address): "\(address)".hasPrefix("unix:") ? "\(address)" : "unix:\(address)"
    case .allInterfaces(let port): "tcp://*:\(port)"
    case .activated(let name): "fd:\(name ?? "")"
    }
  }
}

extension StreamEndpoint where Stream == TCPStream {
  /// A host and a port.
  ///
  /// A name is looked up each time that the endpoint is used; a numeric host is not. To listen takes port 0 too, for
  /// one that the system chooses. A host that no name can be is refused where the endpoint is used.
  public static func tcp(_ host: String, _ port: UInt16) -> StreamEndpoint {
    if let address = try? SocketAddress.ip(host, port: port) { return StreamEndpoint(.socket(address)) }
    return StreamEndpoint(.name(host, port))
  }

  /// An address of the Internet protocol.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for that of a Unix socket.
  public static func address(_ address: SocketAddress) throws(UVError) -> StreamEndpoint {
    if address.family == .unix {
      throw UVError(
        .invalidArgument, call: "StreamEndpoint.address",
        "\(address) is the address of a Unix socket. Use .unix for it.")
    }
    return StreamEndpoint(.socket(address))
  }

  /// This machine alone, by IPv4.
  public static func loopback(port: UInt16) -> StreamEndpoint { StreamEndpoint(.socket(.loopback(port: port))) }

  /// All interfaces of this machine, to listen on: IPv6 and IPv4 with one socket, or IPv4 where there is no IPv6.
  ///
  /// To connect to it is to connect to this machine.
  public static func allInterfaces(port: UInt16) -> StreamEndpoint { StreamEndpoint(.allInterfaces(port)) }
}

extension StreamEndpoint where Stream == PipeStream {
  /// A path, or `@` and one of Linux's abstract names.
  ///
  /// - Throws: ``UVError/Code/fileNameTooLong`` (`ENAMETOOLONG`) beyond what a socket's address holds, 107 bytes on
  ///   Linux; ``UVError/Code/invalidArgument`` for an empty one, and for one with a zero byte.
  public static func unix(_ path: String) throws(UVError) -> StreamEndpoint {
    if path.utf8.first == UInt8(ascii: "@") {
      return StreamEndpoint(.socket(try .abstract(Array(path.utf8.dropFirst()))))
    }
    return StreamEndpoint(.socket(try .unix(path)))
  }
}

extension StreamEndpoint where Stream == ByteStream {
  /// An endpoint from a configuration: `tcp://host:port` or `unix:/path`, also `unix:@name`, and to listen on also
  /// `fd:name`, or `fd:` for the first; see ``activatedSocket(_:)``.
  ///
  /// An IPv6 address stands in brackets, as in `tcp://[::1]:80`; `tcp://*:80` is all interfaces. In Unix names a
  /// backslash begins an escape, as ``SocketAddress/init(_:)`` reads it.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` for any other text; ``UVError/Code/fileNameTooLong`` as
  ///   ``SocketAddress/unix(_:)`` does; the system's code for an interface that it does not have.
  public static func text(_ text: String) throws(UVError) -> StreamEndpoint {
    if text == "unix:" { throw malformed(text) }
    if text.hasPrefix("fd:") {
      let name = String(text.dropFirst(3))
      if name.isEmpty { return StreamEndpoint(.activated(nil)) }
      if !isActivationName(name) { throw malformed(text) }
      return StreamEndpoint(.activated(name))
    }
    guard text.hasPrefix("tcp://") || text.hasPrefix("unix:") else { throw malformed(text) }
    let rest = text.dropFirst(6)
    if text.hasPrefix("unix:") || rest.hasPrefix("[") {
      do throws(UVError) {
        return StreamEndpoint(.socket(try SocketAddress(text.hasPrefix("unix:") ? text : String(rest))))
      } catch {
        throw error.named("StreamEndpoint.text")
      }
    }
    guard let colon = rest.lastIndex(of: ":"), let port = port(rest[rest.index(after: colon)...]) else {
      throw malformed(text)
    }
    let host = String(rest[..<colon])
    if host.isEmpty || host.contains(":") || host.contains("/") { throw malformed(text) }
    return host == "*" ? StreamEndpoint(.allInterfaces(port)) : StreamEndpoint(TCPEndpoint.tcp(host, port))
  }

  /// Digits alone: an integer's initialiser lets a sign pass.
  private static func port(_ text: Substring) -> UInt16? {
    text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? UInt16(text) : nil
  }

  private static func malformed(_ text: String) -> UVError {
    UVError(
      .invalidArgument, call: "StreamEndpoint.text",
      "\"\(text)\" names no endpoint. Write tcp://host:port, tcp://[::1]:port, unix:/path, unix:@name or fd:name.")
  }

  /// A socket that listens already, and was passed to this process by its service manager: systemd's socket activation.
  ///
  /// The manager has said so in `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`; sd_listen_fds(3). Nothing is looked up
  /// here, but where it is listened on. There one that was not passed is ``UVError/Code/addressNotAvailable``, one that
  /// another listener has open ``UVError/Code/addressInUse``, and one that listens for no streams
  /// ``UVError/Code/invalidArgument``.
  ///
  /// The socket stays this process's: closing the listener ends its accepting and nothing else. Whoever connects then
  /// waits in the queue, for the next listener here, or for the service's next start.
  ///
  /// - Parameter name: Its name, `FileDescriptorName=` of systemd; where several have it, one listener has them all.
  ///   Nil is the first of all sockets.
  /// - Throws: ``UVError/Code/invalidArgument`` for an empty name, and for one with a colon.
  public static func activatedSocket(_ name: String? = nil) throws(UVError) -> StreamEndpoint {
    if let name, !isActivationName(name) {
      throw UVError(
        .invalidArgument, call: "StreamEndpoint.activatedSocket",
        "\"\(name)\" can be no socket's name. Give one without a colon, or nil for the first socket.")
    }
    return StreamEndpoint(.activated(name))
  }

  /// The names of all stand in one variable, with colons between them.
  private static func isActivationName(_ name: String) -> Bool {
    !name.isEmpty && !name.utf8.contains(UInt8(ascii: ":"))
  }

  /// The same place, to be kept beside others of another kind.
  public init(_ endpoint: TCPEndpoint) { self.init(endpoint.location) }

  /// The same place, to be kept beside others of another kind.
  public init(_ endpoint: UnixEndpoint) { self.init(endpoint.location) }
}
