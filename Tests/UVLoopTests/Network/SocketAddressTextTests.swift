import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.sideBySide) struct SocketAddressTextTests {
  /// What is read, and what is printed of it.
  @Test(arguments: [
    ("127.0.0.1:80", "127.0.0.1:80"), ("0.0.0.0:0", "0.0.0.0:0"), ("1.2.3.4:00080", "1.2.3.4:80"),
    ("255.255.255.255:65535", "255.255.255.255:65535"), ("[::1]:80", "[::1]:80"), ("[0:0:0:0:0:0:0:0]:1", "[::]:1"),
    ("[2001:DB8::00a:b]:443", "[2001:db8::a:b]:443"), ("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1"),
    ("[fe80::1%0]:1", "[fe80::1]:1"), ("[fe80::1%4000000]:1", "[fe80::1%4000000]:1"),
    ("/run/a.sock", "/run/a.sock"), ("/run/a b:80", "/run/a b:80"), ("unix:/run/a.sock", "/run/a.sock"),
    ("unix:a.sock", "unix:a.sock"), ("unix:127.0.0.1:80", "unix:127.0.0.1:80"), ("unix:\\x40a", "unix:\\x40a"),
    ("@abstract", "@abstract"), ("unix:@abstract", "@abstract"), ("@", "@"), ("@/a", "@/a"), ("unix:", "unix:"),
    ("@a\\x00b\\xFF", "@a\\x00b\\xff"), ("/a\\\\b", "/a\\\\b"), ("/a\\x5cb", "/a\\\\b"), ("/ä/日本", "/ä/日本"),
    ("/a\nb\u{7f}\u{85}\u{2028}\u{202e}", "/a\\x0ab\\x7f\\xc2\\x85\\xe2\\x80\\xa8\\xe2\\x80\\xae"),
    ("unix:@@a", "@@a"), ("/\u{301}a", "/\u{301}a"), ("@\u{301}", "@\u{301}"), ("unix:unix:", "unix:unix:"),
  ])
  func `text is read, and printed so that it is read again`(_ text: String, _ printed: String) throws {
    let address = try SocketAddress(text)
    #expect(Array(address.description.utf8) == Array(printed.utf8))
    #expect(try SocketAddress(printed) == address)
  }

  /// What is refused, and a part of what is said.
  @Test(arguments: [
    ("", "no port"), ("127.0.0.1", "no port"), (":80", "not a numeric address"), ("localhost:80", "EventLoop.resolve"),
    ("127.1:80", "not a numeric address"), ("0x7f.0.0.1:80", "not a numeric address"),
    ("01.2.3.4:80", "not a numeric address"),
    ("1.2.3.256:80", "not a numeric address"), ("1.2.3.4 :80", "not a numeric address"),
    (" 1.2.3.4:80", "not a numeric address"),
    ("1.2.3.4\0:80", "not a numeric address"), ("1.2.3.4%lo:80", "not a numeric address"),
    ("１.2.3.4:80", "not a numeric address"),
    ("1.2.3.4:", "0 to 65535"), ("1.2.3.4:65536", "0 to 65535"), ("1.2.3.4:-1", "0 to 65535"),
    ("1.2.3.4:+1", "0 to 65535"),
    ("1.2.3.4: 1", "0 to 65535"), ("1.2.3.4:1 ", "0 to 65535"), ("1.2.3.4:http", "0 to 65535"),
    ("1.2.3.4:1\0", "0 to 65535"),
    ("1.2.3.4:99999999999999999999", "0 to 65535"), ("::1:80", "in brackets"), ("::1", "in brackets"),
    ("[::1]", "0 to 65535"), ("[::1]80", "0 to 65535"), ("[::1:80", "in brackets"), ("::1]:80", "in brackets"),
    ("[]:80", "not a numeric address"), ("[:]:80", "not a numeric address"),
    ("[1.2.3.4]:80", "IPv4 address in brackets"),
    ("[[::1]]:80", "not a numeric address"), ("[::1 ]:80", "not a numeric address"),
    ("[::g]:80", "not a numeric address"),
    ("[::1\0]:80", "not a numeric address"), ("[%lo]:80", "not a numeric address"), ("/a\0", "zero byte"),
    ("/a\\", "backslash"),
    ("/a\\n", "backslash"), ("/a\\x", "backslash"), ("/a\\x1", "backslash"), ("/a\\xg0", "backslash"),
    ("/a\\x00", "zero byte"),
    ("unix:\\x00", "zero byte"), ("http://1.2.3.4:80", "more than one colon"),
  ])
  func `anything else is refused, with what to write instead`(_ text: String, _ part: String) {
    let error = #expect(throws: UVError.self) { _ = try SocketAddress(text) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.call == "SocketAddress.init")
    #expect(error?.message.contains(part) == true, "\(text): \(error?.message ?? "")")
  }

  @Test(arguments: [UInt64.random(in: 0...(.max))])
  func `random addresses are read as they are printed, on one line`(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    for _ in 0..<5_000 {
      let address = try someAddress(&random)
      let text = address.description
      #expect(try SocketAddress(text) == address, "seed \(seed): \(text)")
      #expect(!text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f }, "seed \(seed): \(text)")
    }
  }

  @Test(arguments: [UInt64.random(in: 0...(.max))])
  func `random text is refused, or an address whose text says the same`(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    var accepted = 0
    let letters = Array("0123456789abf:.[]%@/\\x lo".unicodeScalars) + ["\0", "ä", "\u{301}"]
    for _ in 0..<20_000 {
      // A valid one with a few places changed: random text alone is hardly ever an address.
      var text = Array(try someAddress(&random).description.unicodeScalars)
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        let place = Int.random(in: 0...text.count, using: &random)
        text.replaceSubrange(
          place..<min(place + Int.random(in: 0...1, using: &random), text.count),
          with: [letters.randomElement(using: &random) ?? "0"])
      }
      let string = String(String.UnicodeScalarView(text))
      guard let address = try? SocketAddress(string) else { continue }
      accepted += 1
      #expect(try SocketAddress(address.description) == address, "seed \(seed): \(string)")
    }
    #expect(accepted > 1_000, "seed \(seed)")
  }

  @Test(arguments: [UInt64.random(in: 0...(.max))])
  func `numeric hosts are those of the C library, with the same bytes`(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    var (accepted, refused) = (0, 0)
    for round in 0..<40_000 {
      let isIPv4 = round % 2 == 0
      let letters = Array(isIPv4 ? "0123456789." : "0123456789abcdefABCDEF::::..")
      var host = Array(try somePlace(isIPv4: isIPv4, &random).host ?? "")
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        let place = Int.random(in: 0...host.count, using: &random)
        host.replaceSubrange(
          place..<min(place + Int.random(in: 0...2, using: &random), host.count),
          with: [letters.randomElement(using: &random) ?? "0"])
      }
      let family = isIPv4 ? AF_INET : AF_INET6
      var expected = [UInt8](repeating: 0, count: isIPv4 ? 4 : 16)
      let isValid = unsafe inet_pton(family, String(host), &expected) == 1
      let ours = try? SocketAddress.ip(String(host), port: 0)
      if ours?.rawFamily == family {
        let offset = isIPv4 ? 4 : 8
        let bytes = unsafe ours?.withUnsafeBytes { unsafe Array($0[offset..<(offset + expected.count)]) }
        #expect(isValid && bytes == expected, "seed \(seed): \(String(host))")
        accepted += 1
      } else {
        #expect(!isValid, "seed \(seed): \(String(host))")
        refused += 1
      }
    }
    #expect(accepted > 1_000 && refused > 1_000, "seed \(seed): \(accepted) and \(refused)")
  }

  private func somePlace(isIPv4: Bool, _ random: inout SplitMix) throws -> SocketAddress {
    let port = UInt16.random(in: 0...(.max), using: &random)
    if isIPv4 { return SocketAddress(.ipv4(.random(in: 0...(.max), using: &random), port: port)) }
    // Zeros are common, so that there is something to leave out.
    var host = IPv6Host(high: .random(in: 0...(.max), using: &random), low: .random(in: 0...(.max), using: &random))
    for group in 0..<4 where Bool.random(using: &random) { host.high &= ~(0xffff << (16 * UInt64(group))) }
    for group in 0..<4 where Bool.random(using: &random) { host.low &= ~(0xffff << (16 * UInt64(group))) }
    switch Int.random(in: 0..<8, using: &random) {
    case 0: host.scopeID = .random(in: 0...(.max), using: &random)
    case 1: host.scopeID = 1
    case 2: (host.high, host.low) = (0, 0xffff_0000_0000 | host.low & 0xffff_ffff)
    default: break
    }
    return SocketAddress(.ipv6(host, port: port))
  }

  private func someAddress(_ random: inout SplitMix) throws -> SocketAddress {
    let kind = Int.random(in: 0..<6, using: &random)
    if kind < 3 { return try somePlace(isIPv4: kind == 0, &random) }
    let alphabet: [[UInt8]] =
      ["a", "/", "@", "unix:", "\\", "\n", "ä", "日", "\u{202e}", "\u{301}", ":", "%", " "].map { Array($0.utf8) } + [
        [0xff], [0x80], [0xc3], [0x7f],
      ]
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 0...20, using: &random) { bytes += alphabet.randomElement(using: &random) ?? [] }
    switch kind {
    case 3: return bytes.isEmpty ? SocketAddress(.unix([])) : try SocketAddress(path: bytes, call: "test")
    case 4: return try SocketAddress.abstract(bytes + [0] + bytes.prefix(3))
    default: return try SocketAddress(path: [UInt8(ascii: "/")] + bytes, call: "test")
    }
  }
}
