import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A host, a service and a family, checked.
struct AddressQuery: Sendable {
  private let host: String
  /// A name that has to be looked up; the port of one in digits is known.
  private let service: String?
  private let port: UInt16
  private let family: SocketAddress.Family?

  init(host: String, port: UInt16, service: String?, family: SocketAddress.Family?, call: String) throws(UVError) {
    try HostName.check(host, call)
    if family == .unix {
      throw UVError(
        .invalidArgument, call: call, "Hosts have no addresses of Unix sockets. See SocketAddress.unix(_:).")
    }
    self.host = host
    self.family = family
    guard let service else {
      (self.port, self.service) = (port, nil)
      return
    }
    if port != 0 {
      throw UVError(.invalidArgument, call: call, "Port \(port) and service \"\(service)\" exclude each other.")
    }
    if service.isEmpty || service.utf8.contains(0) {
      throw UVError(.invalidArgument, call: call, "The name of the service is empty, or has a zero byte.")
    }
    // A name has a letter (RFC 6335, 5.1). The C library takes what has none for a number, and cuts it to 16 bits.
    if service.unicodeScalars.contains(where: \.properties.isAlphabetic) {
      (self.port, self.service) = (0, service)
    } else if let number = UInt16(service), service.utf8.first != UInt8(ascii: "+") {
      (self.port, self.service) = (number, nil)
    } else {
      throw UVError(
        .addressInfoServiceNotAvailable, call: call, "\"\(service)\" is neither a service nor a port of 0 to 65535.")
    }
  }

  /// The answer where nothing has to be looked up.
  var numericAnswer: SocketAddress? {
    guard service == nil, let address = try? SocketAddress.ip(host, port: port) else { return nil }
    return family == nil || address.family == family ? address : nil
  }

  /// libuv copies what it is given before it returns.
  func submit(
    _ loop: UnsafeMutablePointer<uv_loop_t>, _ request: UnsafeMutablePointer<uv_getaddrinfo_t>
  ) -> Int32 {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family =
      switch family {
      case .ipv4: AF_INET
      case .ipv6: AF_INET6
      default: AF_UNSPEC
      }
    // Without it each address comes three times, once for each type of socket.
    #if canImport(Glibc)
      unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      unsafe hints.ai_socktype = SOCK_STREAM
    #endif
    return unsafe uv_getaddrinfo(
      loop, request,
      { request, status, list in
        let addresses = unsafe status == 0 ? AddressQuery.addresses(in: list) : nil
        unsafe uv_freeaddrinfo(list)
        unsafe LookupAnswer.finish(request?.pointee.data, status, addresses)
      }, host, service, &hints)
  }

  /// All addresses of a list, in its order. What is neither IPv4 nor IPv6 is no answer to our questions.
  static func addresses(in list: UnsafePointer<addrinfo>?) -> [SocketAddress] {
    var addresses: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next?.pointee {
      if let bytes = unsafe entry.ai_addr, let address = unsafe try? SocketAddress(bytes, count: Int(entry.ai_addrlen)),
        address.family != .unix
      {
        addresses.append(address)
      }
      unsafe next = UnsafePointer(entry.ai_next)
    }
    return addresses
  }

  /// The addresses with the port that was asked for, where no service has said one.
  func result(of addresses: [SocketAddress]) -> [SocketAddress] {
    service == nil ? addresses.map { $0.withPort(port) } : addresses
  }

  /// What an error says of the question.
  var subject: String {
    service.map { "the service \"\($0)\" of the host \"\(host)\"" } ?? "the host \"\(host)\""
  }
}
