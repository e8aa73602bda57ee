import Testing

@testable import UVLoop

/// Where to connect, or to listen: values, and their text.
@Suite(.sideBySide) struct EndpointTests {
  @Test(arguments: [
    "tcp://127.0.0.1:80", "tcp://[::1]:8080", "tcp://0.0.0.0:0", "tcp://*:443", "tcp://example.org:65535",
    "tcp://localhost:7000", "unix:/run/greet.sock", "unix:greet.sock", "unix:/run/two words.sock", "fd:web", "fd:",
    "fd:two words",
  ])
  func `the text of an endpoint is what its description prints`(_ text: String) throws {
    #expect(try AnyEndpoint.text(text).description == text)
  }

  @Test(arguments: [
    "/run/greet.sock", "relative/greet.sock", "unix:odd", "/run/a\\b", "/run/new\nline", "./@x", "/run/ä.sock",
  ])
  func `a path of any kind comes back from its text`(_ path: String) throws {
    let endpoint = try UnixEndpoint.unix(path)
    #expect(try AnyEndpoint.text(endpoint.description) == AnyEndpoint(endpoint))
  }

  #if os(Linux)
    @Test(arguments: ["@greet", "@", "@with\\backslash", "@zero\0inside"])
    func `an abstract name comes back from its text`(_ name: String) throws {
      let endpoint = try UnixEndpoint.unix(name)
      #expect(try AnyEndpoint.text(endpoint.description) == AnyEndpoint(endpoint))
    }
  #endif

  @Test func `an address of one link comes back from its text with its scope`() throws {
    let endpoint = try TCPEndpoint.address(.ip("fe80::1", port: 9, scopeID: 1))
    #expect(try AnyEndpoint.text(endpoint.description) == AnyEndpoint(endpoint))
  }

  @Test(arguments: [
    "", "tcp:", "tcp://", "tcp://:80", "tcp://host", "tcp://host:", "tcp://host:http", "tcp://host:65536",
    "tcp://host:-1", "tcp://host:+80", "tcp://host: 80", "tcp://::1:80", "tcp://[::1]", "tcp://[::1:80",
    "tcp://[host]:80", "tcp://[127.0.0.1]:80", "tcp://host:80/", "tcp://host/path:80", "http://host:80", "host:80",
    "127.0.0.1:80", "TCP://host:80", " tcp://host:80", "unix", "unix:", "unix:/a\0b", "/run/greet.sock",
    "udp://host:80", "fd", "fd:a:b", "FD:web",
  ])
  func `what names no endpoint is refused with a sentence that shows it`(_ text: String) throws {
    let error = #expect(throws: UVError.self) { _ = try AnyEndpoint.text(text) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.call == "StreamEndpoint.text")
  }

  @Test func `L-25 a path that is too long for a socket is refused, and never cut`() throws {
    let longest = "/" + String(repeating: "p", count: SocketAddress.unixCapacity - 2)
    #expect(try UnixEndpoint.unix(longest).description == "unix:\(longest)")
    try expectCode(.fileNameTooLong) { _ = try UnixEndpoint.unix(longest + "p") }
    try expectCode(.fileNameTooLong) { _ = try AnyEndpoint.text("unix:\(longest)p") }
  }

  @Test func `a Unix endpoint needs a name, and one without a zero byte`() throws {
    try expectCode(.invalidArgument) { _ = try UnixEndpoint.unix("") }
    try expectCode(.invalidArgument) { _ = try UnixEndpoint.unix("/run/a\0b") }
  }

  @Test func `a numeric host is the same endpoint as its address`() throws {
    #expect(TCPEndpoint.tcp("127.0.0.1", 80) == .loopback(port: 80))
    #expect(try TCPEndpoint.tcp("::1", 80) == .address(.loopback(port: 80, family: .ipv6)))
    #expect(TCPEndpoint.tcp("localhost", 80) != .loopback(port: 80))
    #expect(try AnyEndpoint.text("tcp://127.0.0.1:80") == AnyEndpoint(.loopback(port: 80)))
    #expect(TCPEndpoint.allInterfaces(port: 80) != .tcp("0.0.0.0", 80))
    #expect(Set([TCPEndpoint.tcp("127.0.0.1", 80), .loopback(port: 80), .loopback(port: 81)]).count == 2)
  }

  @Test func `L-71 a socket that was passed has a name without a colon, or is the first, and is not connected to`()
    async throws
  {
    #expect(try AnyEndpoint.activatedSocket("web") == .text("fd:web"))
    #expect(try AnyEndpoint.activatedSocket() == .text("fd:"))
    try expectCode(.invalidArgument) { _ = try AnyEndpoint.activatedSocket("") }
    try expectCode(.invalidArgument) { _ = try AnyEndpoint.activatedSocket("a:b") }
    try await withTestLoop { loop, _ in
      try await expectCode(.invalidArgument) { _ = try await loop.connect(to: .text("fd:web")) }
    }
  }

  @Test func `the address of a Unix socket is no TCP endpoint`() throws {
    let path = try SocketAddress.unix("/run/greet.sock")
    try expectCode(.invalidArgument) { _ = try TCPEndpoint.address(path) }
  }

  @Test(arguments: [
    "", String(repeating: "a", count: 254), "with\0zero",
  ])
  func `a host that no name can be is refused where the endpoint is used`(_ host: String) async throws {
    try await withTestLoop { loop, _ in
      try await expectCode(.invalidArgument) { _ = try await loop.connect(to: .tcp(host, 80)) }
      try await expectCode(.invalidArgument) { _ = try await loop.listen(on: .tcp(host, 0)) }
    }
  }
}
