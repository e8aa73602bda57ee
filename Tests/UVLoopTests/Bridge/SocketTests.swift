import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite(.sideBySide) struct SocketTests {
  @Test func `a socket, one that was accepted and both of a pair are non-blocking and closed by an exec`() throws {
    let (listener, client, server) = try connection()
    let pair = Socket.pair()
    let all = [listener, client, server, pair.first, pair.second]
    defer { all.forEach(Posix.close) }
    #expect(pair.status == 0)
    for descriptor in all {
      #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK == O_NONBLOCK)
      #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC == FD_CLOEXEC)
    }
  }

  @Test func `a socket is of the family and the type that were asked for`() {
    let stream = Socket.make(AF_INET6)
    let datagram = Socket.make(AF_UNIX, Socket.datagram)
    defer { [stream, datagram].forEach(Posix.close) }
    #expect(Socket.family(of: stream) == AF_INET6)
    #expect(Socket.type(of: stream) == Socket.stream)
    #expect(Socket.family(of: datagram) == AF_UNIX)
    #expect(Socket.type(of: datagram) == Socket.datagram)
  }

  @Test func `a call that fails answers with the negative errno`() {
    let socket = Socket.make(AF_INET)
    defer { Posix.close(socket) }
    #expect(Socket.make(-1) == -EAFNOSUPPORT)
    #expect(unsafe Socket.accept(socket) { _ in } == -EINVAL)
    #expect(Socket.set(socket, SOL_SOCKET, -1, 1) == -ENOPROTOOPT)
    #expect(Socket.get(socket, SOL_SOCKET, -1) == -ENOPROTOOPT)
    let status = unsafe Socket.withPeerAddress(of: socket) { _ in Issue.record("There is no peer.") }
    #expect(status == -ENOTCONN)
  }

  @Test func `what is not a socket says so`() {
    let file = Posix.openNull()
    defer { Posix.close(file) }
    #expect(Socket.type(of: file) == -ENOTSOCK)
    #expect(Socket.family(of: file) == -ENOTSOCK)
    #expect(Socket.listen(file, backlog: 1) == -ENOTSOCK)
    #expect(!Socket.isListening(file))
    #expect(!Socket.isConnected(file))
  }

  @Test func `listening and being connected are told apart`() throws {
    let (listener, client, server) = try connection()
    defer { [listener, client, server].forEach(Posix.close) }
    #expect(Socket.isListening(listener) && !Socket.isConnected(listener))
    #expect(!Socket.isListening(client) && Socket.isConnected(client))
    #expect(!Socket.isListening(server) && Socket.isConnected(server))
  }

  @Test func `accepting answers EAGAIN where nobody waits`() throws {
    let (listener, client, server) = try connection()
    defer { [listener, client, server].forEach(Posix.close) }
    #expect(unsafe Socket.accept(listener) { _ in } == -EAGAIN)
  }

  @Test func `each end's own address is the other's peer`() throws {
    let (listener, client, server) = try connection()
    defer { [listener, client, server].forEach(Posix.close) }
    let (its, ours) = (ownAddress(client), peerAddress(server))
    #expect(its == ours)
    #expect(its?.count == MemoryLayout<sockaddr_in>.size)
    #expect(peerAddress(client) == ownAddress(listener))
  }

  @Test func `the length of a Unix socket's address says that it has no name`() throws {
    let pair = Socket.pair()
    defer { [pair.first, pair.second].forEach(Posix.close) }
    #if os(Linux)
      #expect(ownAddress(pair.first)?.count == MemoryLayout<sa_family_t>.size)
    #endif
    #expect(Socket.family(of: pair.first) == AF_UNIX)
  }

  @Test func `reading tells bytes, nothing yet and the end apart`() {
    let pair = Socket.pair()
    defer { [pair.first, pair.second].forEach(Posix.close) }
    #expect(read(pair.first) == .failure(-EAGAIN))
    #expect(unsafe write(pair.second, [1, 2, 3] as [UInt8], 3) == 3)
    #expect(read(pair.first) == .success([1, 2, 3]))
    #expect(shutdown(pair.second, Int32(SHUT_WR)) == 0)
    #expect(read(pair.first) == .success([]))
  }

  @Test func `an option that was set is read back`() {
    let socket = Socket.make(AF_INET)
    defer { Posix.close(socket) }
    #expect(Socket.get(socket, SOL_SOCKET, SO_KEEPALIVE) == 0)
    #expect(Socket.set(socket, SOL_SOCKET, SO_KEEPALIVE, 1) == 0)
    #expect(Socket.get(socket, SOL_SOCKET, SO_KEEPALIVE) > 0)
  }

  @Test func `a close resets the connection where it lingers for 0 seconds, and not where it does not linger`() throws {
    for (seconds, end): (Int32?, Read) in [(0, .failure(-ECONNRESET)), (nil, .success([]))] {
      let (listener, client, server) = try connection()
      defer { [listener, server].forEach(Posix.close) }
      // Set before, so that nil has something to take back.
      #expect(Socket.setLinger(client, seconds: 0) == 0)
      #expect(Socket.setLinger(client, seconds: seconds) == 0)
      Posix.close(client)
      #expect(becomesReadable(server))
      #expect(read(server) == end)
    }
  }

  @Test func `a duplicate stands for the same socket, is closed by an exec and is no standard stream`() {
    let pair = Socket.pair()
    let twin = Socket.duplicate(pair.first)
    #expect(twin > 2)
    #expect(fcntl(twin, F_GETFD) & FD_CLOEXEC == FD_CLOEXEC)
    Posix.close(pair.first)
    #expect(unsafe write(twin, [9] as [UInt8], 1) == 1)
    #expect(read(pair.second) == .success([9]))
    [twin, pair.second].forEach(Posix.close)
    #expect(Socket.duplicate(-1) == -EBADF)
  }

  @Test func `the peer of a Unix socket is known by its process, user and group`() throws {
    let pair = Socket.pair()
    defer { [pair.first, pair.second].forEach(Posix.close) }
    let peer = try #require(Socket.peerCredentials(of: pair.first))
    #expect(peer == (getpid(), geteuid(), getegid()))
  }

  @Test func `a socket of another family has no peer that is known`() throws {
    let (listener, client, server) = try connection()
    defer { [listener, client, server].forEach(Posix.close) }
    #expect(Socket.peerCredentials(of: client) == nil)
    #expect(Socket.peerCredentials(of: Socket.make(-1)) == nil)
  }

  /// A listening socket on the loopback, a socket that is connected to it, and the one that was accepted.
  private func connection() throws -> (listener: Int32, client: Int32, server: Int32) {
    let listener = Socket.make(AF_INET)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let bindStatus = unsafe withUnsafeBytes(of: &address) { unsafe Socket.bind(listener, $0) }
    try #require(bindStatus == 0)
    try #require(Socket.listen(listener, backlog: 8) == 0)
    let bound = try #require(ownAddress(listener))
    let client = Socket.make(AF_INET)
    let status = unsafe bound.withUnsafeBytes { unsafe Socket.connect(client, $0) }
    try #require(status == 0 || status == -EINPROGRESS)
    try #require(becomesReadable(listener))
    let server = unsafe Socket.accept(listener) { _ in }
    try #require(server >= 0)
    return (listener, client, server)
  }

  private func ownAddress(_ descriptor: Int32) -> [UInt8]? {
    var copy: [UInt8]?
    return unsafe Socket.withLocalAddress(of: descriptor) { unsafe copy = Array($0) } == 0 ? copy : nil
  }

  private func peerAddress(_ descriptor: Int32) -> [UInt8]? {
    var copy: [UInt8]?
    return unsafe Socket.withPeerAddress(of: descriptor) { unsafe copy = Array($0) } == 0 ? copy : nil
  }

  private func becomesReadable(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&entry, 1, 10_000) == 1
  }

  private enum Read: Equatable { case success([UInt8]), failure(Int32) }

  private func read(_ descriptor: Int32) -> Read {
    var buffer = [UInt8](repeating: 0, count: 16)
    let count = unsafe buffer.withUnsafeMutableBytes { unsafe Socket.read(descriptor, into: $0) }
    return count < 0 ? .failure(Int32(count)) : .success(Array(buffer.prefix(count)))
  }
}
