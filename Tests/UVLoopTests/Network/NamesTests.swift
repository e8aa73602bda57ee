import CLibUV
import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.sideBySide) struct NamesTests {
  // MARK: L-35

  @Test(arguments: ["127.0.0.1", "::1", "fe80::1%lo", "127.1", "0x7f000001", "localhost", "192.0.2.7", "2001:db8::7"])
  func `L-35 the answer for a host and a family is that of the C library`(_ host: String) async throws {
    try await withTestLoop { loop, _ in
      for family in [nil, .ipv4, .ipv6] as [SocketAddress.Family?] {
        let ours = await outcome { try await loop.resolve(host, port: 80, family: family) }
        #expect(ours == CLibrary.addresses(of: host, service: "80", family), "\(host) \(String(describing: family))")
      }
    }
  }

  @Test(arguments: ["http", "https", "domain", "80", "00080", "65535", "no-such-service", "7f"])
  func `L-35 the answer for a service is that of the C library`(_ service: String) async throws {
    try await withTestLoop { loop, _ in
      for host in ["127.0.0.1", "localhost", "::1"] {
        let ours = await outcome { try await loop.resolve(host, service: service) }
        #expect(ours == CLibrary.addresses(of: host, service: service, nil), "\(host) \(service)")
      }
    }
  }

  /// The C library takes these for numbers, and the last three for other ports.
  @Test(arguments: ["", " 80", "+80", "-1", "65536", "70000", "8\0"])
  func `L-35 a service that is neither a name nor a port is refused`(_ service: String) async throws {
    try await withTestLoop { loop, _ in
      let code = await codeOfError { _ = try await loop.resolve("127.0.0.1", service: service) }
      #expect(code == (service.isEmpty || service.contains("\0") ? .invalidArgument : .addressInfoServiceNotAvailable))
    }
  }

  @Test func `L-35 a port beside a service, and the family of Unix sockets, are refused`() async throws {
    try await withTestLoop { loop, _ in
      for (host, port, service, family) in [
        ("localhost", 80, "http", nil), ("127.0.0.1", 80, "80", nil), ("localhost", 0, nil, .unix),
        ("::1", 0, nil, .unix),
      ] as [(String, UInt16, String?, SocketAddress.Family?)] {
        let code = await codeOfError { _ = try await loop.resolve(host, port: port, service: service, family: family) }
        #expect(code == .invalidArgument, "\(host)")
      }
    }
  }

  // MARK: L-36

  @Test(arguments: [
    "no-such-host.invalid", "x y", "no.such.host.invalid", "1.2.3.4.5", "256.1.1.1", "::g", "::1%no-such-if",
  ])
  func `L-36 a look-up that fails throws one error, with the C library's code and the host's name`(_ host: String)
    async throws
  {
    try await withTestLoop { loop, _ in
      let error = await #expect(throws: UVError.self) { _ = try await loop.resolve(host) }
      #expect(Outcome.failure(error?.code) == CLibrary.addresses(of: host, service: nil, nil))
      #expect(error?.call == "resolve")
      #expect(error?.message.contains("\"\(host)\"") == true)
      #expect(await loop.run { $0.probe.requests.isEmpty })
    }
  }

  @Test func `L-36 an unknown service is named in the error`() async throws {
    try await withTestLoop { loop, _ in
      let error = await #expect(throws: UVError.self) {
        _ = try await loop.resolve("127.0.0.1", service: "no-such-service")
      }
      #expect(error?.code == .addressInfoServiceNotAvailable)
      #expect(error?.message.contains("service \"no-such-service\" of the host \"127.0.0.1\"") == true)
    }
  }

  // MARK: L-37, L-39

  @Test(arguments: [
    String(repeating: "a", count: 63) + ".invalid", String(repeating: "a", count: 64) + ".invalid", longest, ".", "..",
    "a..invalid",
    "-.invalid", "*.invalid", "%", "%lo", "[::1]", "a\nb.invalid", "\u{7f}", "\\", "xn--.invalid", "xn--a.invalid",
    "_x.invalid",
  ])
  func `L-37 odd names throw what the C library says of them`(_ host: String) async throws {
    try await withTestLoop { loop, _ in
      #expect(await outcome { try await loop.resolve(host) } == CLibrary.addresses(of: host, service: nil, nil))
    }
  }

  @Test(arguments: [
    "ä.invalid", "日本語.invalid", "\u{202e}.invalid", "😀.invalid", "\u{301}.invalid", "ä。invalid", "a\u{a0}b.invalid",
  ])
  func `L-37 names of other scripts are looked up as libuv converts them`(_ host: String) async throws {
    try await withTestLoop { loop, _ in
      let code = await codeOfError { _ = try await loop.resolve(host) }
      let expected = CLibrary.addresses(of: "no-such-host.invalid", service: nil, nil)
      #expect(Outcome.failure(code) == expected, "\(host)")
    }
  }

  @Test(arguments: [
    longest + "a", String(repeating: "a", count: 100_000), "a\0b", "\0", "localhost\0",
    String(repeating: "ä", count: 127),
    String(repeating: "ä.", count: 50), String(repeating: "😀", count: 63) + ".invalid",
  ])
  func `L-37 names that are too long or have a zero byte are refused before libuv`(_ host: String) async throws {
    try await withTestLoop { loop, _ in
      #expect(await codeOfError { _ = try await loop.resolve(host) } == .invalidArgument)
    }
  }

  @Test func `L-39 an empty name is refused`() async throws {
    try await withTestLoop { loop, _ in
      for (service, family) in [(nil, nil), ("http", nil), (nil, .ipv6)] as [(String?, SocketAddress.Family?)] {
        #expect(
          await codeOfError { _ = try await loop.resolve("", service: service, family: family) } == .invalidArgument)
      }
    }
  }

  /// The ASCII forms are those of RFC 3492, section 7.1, and of Python's codec.
  @Test(arguments: [
    ("example.org", "example.org"), ("bücher.example", "xn--bcher-kva.example"), ("ü", "xn--tda"),
    ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"), ("Pročprostěnemluvíčesky", "xn--Proprostnemluvesky-uyb24dma41a"),
    ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
    ("3年B組金八先生", "xn--3B-ww4c5e180e575a65lsy2b"),
    ("ليهمابتكلموشعربي؟", "xn--egbpdaj6bu4bxfgehfvwxn"), ("😀.ä。ö．b｡", "xn--e28h.xn--4ca.xn--nda.b."),
    ("ä.", "xn--4ca."),
    ("日本日本", "xn--wgva49gba"),
  ])
  func `the bytes of a name in ASCII are counted as libuv writes them`(_ host: String, _ converted: String) {
    #expect(HostName.asciiCount(of: host) == converted.utf8.count)
  }

  /// 253 bytes, in labels that the DNS would take.
  private static let longest = String(repeating: "a23456789.", count: 24) + "abcde.invalid"

  // MARK: L-41

  @Test(arguments: [
    "127.0.0.1:80", "127.0.0.1:0", "[::1]:443", "127.9.9.9:1", "[fe80::1%lo]:53", "0.0.0.0:65535", "192.0.2.7:22",
  ])
  func `L-41 the names of an address are those of the C library, errors included`(_ text: String) async throws {
    try await withTestLoop { loop, _ in
      let address = try SocketAddress(text)
      for requiresName in [false, true] {
        let ours = await outcome {
          let names = try await loop.reverseResolve(address, requiresName: requiresName)
          return [names.host, names.service]
        }
        #expect(ours == CLibrary.names(of: address, requiresName), "\(text)")
      }
    }
  }

  @Test func `L-41 an address without a name is named in the error`() async throws {
    try await withTestLoop { loop, _ in
      let error = await #expect(throws: UVError.self) {
        _ = try await loop.reverseResolve(.any(port: 80), requiresName: true)
      }
      #expect(error?.call == "reverseResolve")
      #expect(error?.message.contains("the address 0.0.0.0:80") == true)
    }
  }

  @Test(arguments: ["/run/a", "@a", "unix:"])
  func `L-41 a Unix socket has no name to look up`(_ text: String) async throws {
    try await withTestLoop { loop, _ in
      #expect(await codeOfError { _ = try await loop.reverseResolve(SocketAddress(text)) } == .invalidArgument)
    }
  }

  // MARK: The life of the loop and of the task

  @Test func `a numeric host too is not answered to a task that is cancelled, nor after the loop has ended`()
    async throws
  {
    let loop = try EventLoop()
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      _ = try await loop.resolve("127.0.0.1")
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    await loop.shutdown()
    #expect(await codeOfError { _ = try await loop.resolve("127.0.0.1") } == .loopClosed)
    #expect(await codeOfError { _ = try await loop.resolve("localhost") } == .loopClosed)
    #expect(await codeOfError { _ = try await loop.reverseResolve(.loopback(port: 1)) } == .loopClosed)
  }

  @Test func `it resumes on the caller's isolation`() async throws {
    try await onTestLoop { loop, _ in
      _ = try await loop.resolve("127.1")
      loop.preconditionIsolated()
      _ = try await loop.reverseResolve(.loopback(port: 80))
      loop.preconditionIsolated()
    }
  }
}

// MARK: - The C library, asked by plain calls

/// The addresses or names, or the code.
private enum Outcome<Value: Equatable & Sendable>: Equatable, Sendable {
  case success(Value)
  case failure(UVError.Code?)
}

private func outcome<Value>(_ body: () async throws -> Value) async -> Outcome<Value> {
  do { return .success(try await body()) } catch { return .failure((error as? UVError)?.code) }
}

private enum CLibrary {
  static func addresses(of host: String, service: String?, _ family: SocketAddress.Family?) -> Outcome<[SocketAddress]>
  {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = family == nil ? AF_UNSPEC : family == .ipv4 ? AF_INET : AF_INET6
    #if canImport(Glibc)
      unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      unsafe hints.ai_socktype = SOCK_STREAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, service, &hints, &list)
    if status != 0 { return .failure(code(status)) }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next?.pointee {
      if let start = unsafe entry.ai_addr, let address = unsafe try? SocketAddress(start, count: Int(entry.ai_addrlen))
      {
        addresses.append(address)
      }
      unsafe next = entry.ai_next
    }
    return .success(addresses)
  }

  static func names(of address: SocketAddress, _ requiresName: Bool) -> Outcome<[String]> {
    var host = [CChar](repeating: 0, count: 1_025)
    var service = [CChar](repeating: 0, count: 32)
    let status = unsafe address.withSockaddr { start, count in
      unsafe getnameinfo(
        start, count, &host, socklen_t(host.count), &service, socklen_t(service.count), requiresName ? NI_NAMEREQD : 0)
    }
    if status != 0 { return .failure(code(status)) }
    return .success(
      [host, service].map { String(decoding: $0.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) })
  }

  private static func code(_ status: Int32) -> UVError.Code? {
    switch status {
    case EAI_AGAIN: .addressInfoTemporaryFailure
    case EAI_FAIL: .addressInfoPermanentFailure
    case EAI_FAMILY: .addressInfoFamilyNotSupported
    case EAI_NONAME: .addressInfoUnknownName
    case EAI_SERVICE: .addressInfoServiceNotAvailable
    // Glibc's, whose names are not imported.
    case -5: .addressInfoNoData
    case -9: .addressInfoAddressFamilyNotSupported
    case EAI_SYSTEM: UVError.Code(rawValue: -Posix.errno)
    default: nil
    }
  }
}
