// A look-up of names is a request of libuv's pool. Its answer lies in memory of libuv's, or in the request's own, and
// both end with the callback: there it is copied out, whether anybody still waits or not.

import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension RequestKind {
  fileprivate static let resolve = RequestKind(rawValue: "resolve")
  fileprivate static let reverseResolve = RequestKind(rawValue: "reverseResolve")
}

/// What a look-up brings. libuv's request points here while it is in flight, so that its callback finds the place for
/// the answer, and this keeps what the request pointed to before.
// Holds because libuv's callback has it first, on the loop's thread, and then the task that waited for it.
@safe class LookupAnswer<Value>: @unchecked Sendable {
  private var request: UnsafeMutableRawPointer?
  private(set) var value: Value?

  init() {}

  /// Before libuv gets the request, which keeps this until its callback.
  final func attach(to memory: UnsafeMutableRawPointer) {
    let base = unsafe memory.assumingMemoryBound(to: uv_req_t.self)
    unsafe request = base.pointee.data
    unsafe base.pointee.data = Unmanaged.passUnretained(self).toOpaque()
  }

  /// In libuv's callback, with what `attach` made of the request's `data`.
  static func finish(_ data: UnsafeMutableRawPointer?, _ status: Int32, _ value: Value?) {
    guard let data = unsafe data else { return }
    let answer = unsafe Unmanaged<LookupAnswer>.fromOpaque(data).takeUnretainedValue()
    answer.value = value
    unsafe PendingRequest.finish(answer.request, status)
  }
}

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
  fileprivate func submit(
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
      if let bytes = unsafe entry.ai_addr, let address = unsafe try? SocketAddress(bytes, count: Int(entry.ai_addrlen))
      {
        addresses.append(address)
      }
      unsafe next = UnsafePointer(entry.ai_next)
    }
    return addresses
  }

  /// The addresses with the port that was asked for, where no service has said one.
  fileprivate func result(of addresses: [SocketAddress]) -> [SocketAddress] {
    service == nil ? addresses.map { $0.withPort(port) } : addresses
  }

  /// What an error says of the question.
  fileprivate var subject: String {
    service.map { "the service \"\($0)\" of the host \"\(host)\"" } ?? "the host \"\(host)\""
  }
}

extension LoopCore {
  /// The addresses of a host, from the C library, in a thread of the pool.
  func addresses(
    _ query: AddressQuery, _ call: StaticString, in answer: LookupAnswer<[SocketAddress]> = .init(),
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> [SocketAddress] {
    unsafe try await lookUp(.resolve, UV_GETADDRINFO, call, query.subject, in: answer) { loop, memory in
      unsafe query.submit(loop, memory.assumingMemoryBound(to: uv_getaddrinfo_t.self))
    }
    return query.result(of: answer.value ?? [])
  }

  /// The names of an address and of its port, from the C library, in a thread of the pool.
  ///
  /// - Parameter address: Of IPv4 or IPv6.
  func names(
    _ address: SocketAddress, _ flags: Int32, _ call: StaticString,
    in answer: LookupAnswer<(host: String, service: String)> = .init(), isolation: isolated (any Actor)? = #isolation
  ) async throws -> (host: String, service: String) {
    unsafe try await lookUp(.reverseResolve, UV_GETNAMEINFO, call, "the address \(address)", in: answer) { loop, memory in
      unsafe address.withSockaddr { bytes, _ in
        unsafe uv_getnameinfo(
          loop, memory.assumingMemoryBound(to: uv_getnameinfo_t.self),
          { request, status, host, service in
            var names: (host: String, service: String)?
            if let host = unsafe host, let service = unsafe service {
              names = unsafe (String(cString: host), String(cString: service))
            }
            unsafe LookupAnswer.finish(request?.pointee.data, status, names)
          }, bytes, flags)
      }
    }
    guard let names = answer.value else { throw UVError(.unknown, call: "\(call)", "\(address) has no names.") }
    return names
  }

  private func lookUp<Value>(
    _ kind: RequestKind, _ type: uv_req_type, _ call: StaticString, _ subject: String, in answer: LookupAnswer<Value>,
    isolation: isolated (any Actor)? = #isolation, _ start: @escaping AwaitedRequest.Start
  ) async throws {
    do {
      _ = unsafe try await request(kind, type, call, keeping: answer) { loop, memory in
        unsafe answer.attach(to: memory)
        return unsafe start(loop, memory)
      }
    } catch let error as UVError where error.code != .loopClosed {
      let advice = error.code == .addressInfoTemporaryFailure ? "; a later attempt may succeed" : ""
      throw UVError(status: error.code.rawValue, call: error.call, hint: "That is for \(subject)\(advice).")
    }
  }
}
