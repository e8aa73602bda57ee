import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// That the peers of other tests do what those count on.
@Suite(.sideBySide) struct PlainSocketTests {
  private static var addresses: [PlainAddress] {
    let name = "uvloop-plain-\(getpid())"
    #if os(Linux)
      return [.ipv4(), .ipv6(), .unix("/tmp/\(name)"), .abstract(name)]
    #else
      return [.ipv4(), .ipv6(), .unix("/tmp/\(name)")]
    #endif
  }

  @Test(arguments: addresses)
  func `a plain listener accepts what connects to its address, and bytes go both ways`(address: PlainAddress) throws {
    let listener = try PlainListener(on: address)
    let client = try PlainSocket(connectingTo: listener.address)
    let server = try listener.accept()
    try client.sendAll("ping")
    try client.shutdownWriting()
    #expect(try server.receiveAll() == Array("ping".utf8))
    try server.sendAll("pong!")
    #expect(try client.receive(exactly: 4) == Array("pong".utf8))
    server.close()
    #expect(try client.receiveAll() == Array("!".utf8))
  }

  @Test func `the path of a plain listener goes away with it`() throws {
    let path = "/tmp/uvloop-path-\(getpid())"
    do {
      let listener = try PlainListener(on: .unix(path))
      #expect(exists(path))
      #expect(listener.address.description == path)
    }
    #expect(!exists(path))
  }

  private func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  @Test func `a plain socket that is reset is seen as reset`() throws {
    let listener = try PlainListener()
    let client = try PlainSocket(connectingTo: listener.address)
    let server = try listener.accept()
    client.reset()
    #expect(throws: PlainFailure("recv", errno: ECONNRESET)) { try server.receive() }
  }

  @Test func `connecting where nobody listens fails`() throws {
    let address = PlainAddress.unix("/tmp/uvloop-nobody-\(getpid())")
    #expect(throws: PlainFailure("connect", errno: ENOENT)) { try PlainSocket(connectingTo: address) }
  }

  @Test func `a pattern is the same from every offset, and shows what is lost, doubled or changed`() {
    let pattern = Pattern(seed: 7)
    let whole = pattern.bytes(count: 200_000)
    #expect(pattern.bytes(at: 65_000, count: 100_000) == Array(whole[65_000..<165_000]))
    #expect(Pattern(seed: 8).bytes(count: 100) != pattern.bytes(count: 100))

    for damaged in [Array(whole[..<65_536] + whole[131_072...]), Array(whole[..<65_536] + whole[..<65_536])] {
      let difference = pattern.firstDifference(in: damaged)
      // A few bytes behind may be equal by chance.
      #expect(difference.map { (65_536..<65_546).contains($0) } == true)
    }
    var changed = whole
    changed[70_000] ^= 1
    #expect(pattern.firstDifference(in: Array(changed[69_000...]), at: 69_000) == 70_000)
  }

  @Test func `a slow peer reads nothing until it is told to, then at its pace, and then the rest`() async throws {
    let (ours, its) = try PlainSocket.pair()
    let pattern = Pattern(seed: 3)
    let peer = SlowPeer(its, expecting: pattern)
    var sent = 0
    while let count = try ours.sendNow(pattern.bytes(at: sent, count: 10_000)[...]) { sent += count }
    #expect(sent > 0 && peer.count == 0)
    peer.setPace(.slow(bytes: 100, rest: .milliseconds(1)))
    #expect(await eventually { peer.count >= 300 })
    ours.close()
    let (count, difference) = try await peer.finish()
    #expect(count == sent)
    #expect(difference == nil)
  }

  @Test func `a slow peer that is dropped closes its socket`() async throws {
    let (ours, its) = try PlainSocket.pair()
    do { _ = SlowPeer(its, pace: .full, expecting: Pattern(seed: 1)) }
    #expect(try await onPlainThread { try ours.receive() } == [])
  }

  @Test func `a slow peer tells of a stream that is not the pattern, and of a reset`() async throws {
    let (ours, its) = try PlainSocket.pair()
    let peer = SlowPeer(its, expecting: Pattern(seed: 1))
    try ours.sendAll(Pattern(seed: 1).bytes(count: 10) + Pattern(seed: 2).bytes(at: 10, count: 10))
    ours.close()
    let (count, difference) = try await peer.finish()
    #expect(count == 20)
    #expect(difference.map { (10..<15).contains($0) } == true)

    let listener = try PlainListener()
    let client = try PlainSocket(connectingTo: listener.address)
    let late = SlowPeer(try listener.accept(), expecting: Pattern(seed: 1))
    client.reset()
    await #expect(throws: PlainFailure("recv", errno: ECONNRESET)) { _ = try await late.finish() }
  }
}
