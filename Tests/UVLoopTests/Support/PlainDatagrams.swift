@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A UDP socket of the test's own: a peer that shares no code with the library.
///
/// Its calls block the thread, each for a minute at most. It is closed when it goes away.
final class PlainDatagrams: @unchecked Sendable {  // Holds because one thread at a time uses it.
  private(set) var descriptor: Int32
  /// Where it is bound, with the port that the system has chosen.
  let address: PlainAddress

  /// - Parameter isShared: Whether others may be bound to the address too.
  init(on address: PlainAddress = .ipv4(), isShared: Bool = false) throws {
    let socket = socket(address.family, Socket.datagram, 0)
    if socket < 0 { throw PlainFailure("socket") }
    _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
    _ = fcntl(socket, F_SETFL, O_NONBLOCK)
    if isShared { setPlainOption(socket, SO_REUSEADDR, 1) }
    if unsafe address.withSockaddr({ unsafe bind(socket, $0, $1) }) != 0 {
      let failure = PlainFailure("bind")
      Posix.close(socket)
      throw failure
    }
    descriptor = socket
    self.address = unsafe PlainAddress { unsafe getsockname(socket, $0, $1) } ?? address
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Posix.close(descriptor) }
    descriptor = -1
  }

  var port: UInt16 { address.port }

  func connect(to peer: PlainAddress) throws {
    if unsafe peer.withSockaddr({ unsafe connectPlainly(descriptor, $0, $1) }) != 0 { throw PlainFailure("connect") }
  }

  /// With nil to the peer that it is connected to.
  func send(_ bytes: [UInt8], to peer: PlainAddress?) throws {
    let count = unsafe bytes.withUnsafeBytes { bytes in
      guard let peer else { return unsafe sendPlainly(descriptor, bytes.baseAddress, bytes.count, 0) }
      return unsafe peer.withSockaddr { unsafe sendto(descriptor, bytes.baseAddress, bytes.count, 0, $0, $1) }
    }
    if count != bytes.count { throw PlainFailure("sendto") }
  }

  func send(_ text: String, to peer: PlainAddress) throws { try send(Array(text.utf8), to: peer) }

  /// The next datagram, and who sent it.
  func receive() throws -> (bytes: [UInt8], sender: PlainAddress) {
    while true {
      if let datagram = try receiveNow() { return datagram }
      try waitPlainly(descriptor, for: POLLIN, "recvfrom")
    }
  }

  /// What is there now, or nil.
  func receiveNow() throws -> (bytes: [UInt8], sender: PlainAddress)? {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    var count = -1
    let sender = unsafe PlainAddress { address, size in
      count = unsafe recvfrom(descriptor, &bytes, bytes.count, 0, address, size)
      return count < 0 ? -1 : 0
    }
    if let sender { return (Array(bytes.prefix(count)), sender) }
    let failure = PlainFailure("recvfrom")
    if failure.errno == EAGAIN || failure.errno == EINTR { return nil }
    throw failure
  }

  func set(_ level: Int32, _ name: Int32, _ value: Int32) { _ = Socket.set(descriptor, level, name, value) }
}

extension PlainAddress {
  private static let ports = Counter()

  /// One of the loopback's that is this process's own, with a port that the system gives to nobody by itself, and no
  /// other test has. What is sent there when its socket is closed comes to no socket of a test beside this one.
  static func quiet() -> PlainAddress {
    let process = Int(getpid())
    var bytes = ipv4(port: UInt16(20_000 + (process &* 389 + ports.add()) % 12_000)).bytes
    #if os(Linux)
      // Elsewhere only the first of them is there without being asked for.
      bytes.replaceSubrange(
        5..<8, with: [UInt8(1 + process >> 16 & 0x7f), UInt8(process >> 8 & 0xff), UInt8(process & 0xff)])
    #endif
    return PlainAddress(bytes: bytes)
  }
}

/// Whether a socket is told on this machine that nobody is at its peer's address. The kernel limits how many of these
/// messages it sends, and some sandboxes send none.
func isToldOfRefusal() async -> Bool {
  let isEnqueued = try? await onPlainThread { () -> Bool in
    let socket = try PlainDatagrams()
    try socket.connect(to: .quiet())
    for _ in 0..<20 {
      do {
        try socket.send([1], to: nil)
        var entry = pollfd(fd: socket.descriptor, events: 0, revents: 0)
        if unsafe poll(&entry, 1, 100) > 0 { return true }
      } catch { return true }
    }
    return false
  }
  if isEnqueued != true { print("no socket is told here that nobody listens, and what that leads to was not tested") }
  return isEnqueued == true
}

/// What a kernel without room would be, in place of one: refuses what a socket sends, until room is made.
final class FullDatagrams: DatagramTransport, @unchecked Sendable {  // Holds because it belongs to the loop's thread.
  private let engine: UDPEngine
  private(set) var isFull = true
  /// Whether one that was refused is refused again, until there is room.
  var isPersistent = true
  /// How many are taken before it is full again.
  private var room = 0
  private var datagram: (bytes: RequestBuffer, address: SocketAddress?, done: (UVError?) -> Void)?

  init(_ engine: UDPEngine) { self.engine = engine }

  /// Whether it has one that it could not send.
  var hasDatagram: Bool { datagram != nil }

  func trySend(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) throws(UVError) -> Bool {
    if isFull && room == 0 { return false }
    room = max(0, room - 1)
    return unsafe try engine.trySend(bytes, to: address)
  }

  func send(_ datagram: RequestBuffer, to address: SocketAddress?, done: @escaping (UVError?) -> Void) {
    precondition(self.datagram == nil, "One at a time was promised.")
    if isFull && isPersistent {
      self.datagram = (datagram, address, done)
    } else {
      engine.send(datagram, to: address, done: done)
    }
  }

  /// Room for all, or for so many.
  func makeRoom(for count: Int? = nil) {
    isFull = count != nil
    room = count.map { max(0, $0 - 1) } ?? 0
    if let datagram = datagram.take() { engine.send(datagram.bytes, to: datagram.address, done: datagram.done) }
  }

  /// There is room, and the one that was refused is not sent yet.
  func findRoom() { isFull = false }

  /// The kernel refuses the one that it has.
  func fail(_ code: UVError.Code) { datagram.take()?.done(UVError(status: code.rawValue, call: "")) }
}

extension UDPSocket {
  /// `trySend` of an array.
  func attempt(_ bytes: [UInt8], to address: SocketAddress?, on loop: isolated EventLoop) throws(UVError) -> Bool {
    unsafe try trySend(bytes.span.bytes, to: address, isolation: loop)
  }

  /// A socket on the loopback whose kernel has no room. On the loop.
  static func full(on loop: EventLoop) throws -> (UDPSocket, FullDatagrams) {
    let engine = try loop.probe.udpEngine(at: .loopback(port: 0))
    let transport = FullDatagrams(engine)
    return (UDPSocket(UDPCore(engine, .init(), sendingBy: transport)), transport)
  }
}

// Outside the class, whose own functions would hide the system's.

private func connectPlainly(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Int32 {
  unsafe connect(descriptor, address, size)
}

private func sendPlainly(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: Int32) -> Int {
  unsafe send(descriptor, bytes, count, flags)
}
