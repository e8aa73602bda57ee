import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Datagrams as they come and go, with peers that are plain sockets.
@Suite(.sideBySide) struct UDPTests {
  private static let families: [SocketAddress.Family] = [.ipv4, .ipv6]

  private static func plain(_ family: SocketAddress.Family) throws -> PlainDatagrams {
    try PlainDatagrams(on: family == .ipv4 ? .ipv4() : .ipv6())
  }

  @Test(arguments: families, [true, false])
  func `L-27 a datagram arrives with its sender's address, and the answer goes back`(
    family: SocketAddress.Family, isInline: Bool
  ) async throws {
    try await onTestLoop { loop, _ in
      loop.probe.runsInline = isInline
      let socket = try await loop.bindUDP(to: .loopback(port: 0, family: family))
      let peer = try Self.plain(family)
      for text in ["before it receives", "again"] {
        try peer.send(text, to: socket.localAddress.plain)
        let datagram = try await socket.receive()
        #expect(try datagram == Datagram(bytes: Array(text.utf8), peerAddress: peer.address.address))
        try await socket.send(datagram.bytes + [33], to: datagram.peerAddress)
        let answer = try await onPlainThread { try peer.receive() }
        #expect(answer.bytes == Array("\(text)!".utf8) && answer.sender == socket.localAddress.plain)
      }
      let waiting = loop.task { _ in try await socket.receive() }
      await expectEventually { socket.inner.receiver.hasWaiter }
      try peer.send("while it waits", to: socket.localAddress.plain)
      #expect(try await waiting.value.bytes == Array("while it waits".utf8))
      socket.close()
    }
  }

  @Test func `L-27 a borrowed datagram is what was sent, also for a body that throws`() async throws {
    struct Failure: Error {}
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      for round in 0..<2 {
        // Of the second round one is lent from the block, and one from what is held.
        let receiving = round == 0 ? nil : loop.task { _ in try await Self.borrow(socket) }
        if round == 1 { await expectEventually { socket.inner.receiver.hasWaiter } }
        for number in UInt8(0)..<3 { try peer.send([number, number], to: socket.localAddress.plain) }
        let first = if let receiving { try await receiving.value } else { try await Self.borrow(socket) }
        #expect(try first == Datagram(bytes: [0, 0], peerAddress: peer.address.address))
        await #expect(throws: Failure.self) { try await socket.receive { _, _, _ in throw Failure() } }
        #expect(try await Self.borrow(socket).bytes == [2, 2])
      }
      socket.close()
    }
  }

  private static func borrow(_ socket: UDPSocket) async throws -> Datagram {
    try await socket.receive { bytes, peer, isTruncated in
      Datagram(bytes: [UInt8](bytes), peerAddress: peer, isTruncated: isTruncated)
    }
  }

  @Test func `L-27 a socket for all addresses has IPv4 peers too, unless it is for IPv6 alone`() async throws {
    try await onTestLoop { loop, _ in
      let both = try await loop.bindUDP(to: .any(port: 0, family: .ipv6))
      let port = try #require(both.localAddress.port)
      let peer = try PlainDatagrams()
      try peer.send("four", to: .ipv4(port: port))
      let datagram = try await both.receive()
      #expect(datagram.peerAddress.description == "[::ffff:127.0.0.1]:\(peer.port)")
      try await both.send([1], to: datagram.peerAddress)
      try await both.send([2], to: try peer.address.address)
      #expect(try peer.receive().bytes == [1])
      #expect(try peer.receive().bytes == [2])
      try await expectCode(.addressInUse) { _ = try await loop.bindUDP(to: .any(port: port)) }
      both.close()

      var options = UDPSocket.Options()
      options.ipv6Only = true
      let six = try await loop.bindUDP(to: .any(port: PlainAddress.quiet().port, family: .ipv6), options: options)
      let four = try await loop.bindUDP(to: .any(port: try #require(six.localAddress.port)))
      four.close()
      six.close()
    }
  }

  enum Place: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case loop, mainActor, otherLoop, plainTask

    var testDescription: String { rawValue }
  }

  private static func talk(_ socket: UDPSocket, with peer: PlainDatagrams) async throws -> [[UInt8]] {
    var answers: [[UInt8]] = []
    for number in UInt8(0)..<10 {
      try await socket.send([number, 1], to: try peer.address.address)
      try peer.send(try await onPlainThread { try peer.receive() }.bytes, to: socket.localAddress.plain)
      answers.append(
        number % 2 == 0 ? try await socket.receive().bytes : try await socket.receive { bytes, _, _ in [UInt8](bytes) })
    }
    try await socket.connect(to: try peer.address.address)
    try await socket.send([7])
    answers.append(try await onPlainThread { try peer.receive() }.bytes)
    return answers
  }

  @Test(arguments: Place.allCases)
  func `L-76 a socket may be used from anywhere`(place: Place) async throws {
    try await withTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      let answers =
        switch place {
        case .loop: try await loop.run { _ in try await Self.talk(socket, with: peer) }
        case .mainActor: try await Task { @MainActor in try await Self.talk(socket, with: peer) }.value
        case .otherLoop: try await onTestLoop("other") { _, _ in try await Self.talk(socket, with: peer) }
        case .plainTask: try await Task.detached { try await Self.talk(socket, with: peer) }.value
        }
      #expect(answers == (UInt8(0)..<10).map { [$0, 1] } + [[7]])
      socket.close()
    }
  }

  @Test(arguments: [true, false])
  func `L-28 an empty datagram arrives as one`(isBorrowed: Bool) async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      let empty = Datagram(bytes: [], peerAddress: try peer.address.address)
      for isWaiting in [false, true] {
        let task = isWaiting ? loop.task { _ in try await Self.take(socket, isBorrowed) } : nil
        if isWaiting { await expectEventually { socket.inner.receiver.hasWaiter } }
        try peer.send([], to: socket.localAddress.plain)
        let found = if let task { try await task.value } else { try await Self.take(socket, isBorrowed) }
        #expect(found == empty)
      }
      try await socket.send([], to: empty.peerAddress)
      #expect(try peer.receive().bytes == [])
      #expect(try socket.attempt([], to: empty.peerAddress, on: loop))
      #expect(try peer.receive().bytes == [])
      socket.close()
    }
  }

  private static func take(_ socket: UDPSocket, _ isBorrowed: Bool) async throws -> Datagram {
    isBorrowed ? try await borrow(socket) : try await socket.receive()
  }

  @Test func `L-29 sending to nobody neither spins nor hangs`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let address = try PlainAddress.quiet().address
      let receiving = loop.task { _ in try await socket.receive() }
      for _ in 0..<20 { try await socket.send([1, 2, 3], to: address) }
      try await iterate(loop)
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(30)) }
      #expect(iterations < 10)
      try PlainDatagrams().send("somebody", to: socket.localAddress.plain)
      #expect(try await receiving.value.bytes == Array("somebody".utf8))
      socket.close()
    }
  }

  @Test func `L-30 a connected socket sends without an address, and to no other`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .any(port: 0))
      let (peer, stranger) = (try PlainDatagrams(), try PlainDatagrams())
      let address = try peer.address.address
      let bytes: [UInt8] = [1]
      try await expectCode(.addressRequired) { try await socket.send(bytes) }
      try expectCode(.addressRequired) { _ = try socket.attempt(bytes, to: nil, on: loop) }

      try await socket.connect(to: address)
      #expect(socket.peerAddress == address && socket.localAddress.isLoopback)
      try await socket.send(bytes)
      #expect(try socket.attempt([2], to: nil, on: loop))
      #expect(try peer.receive().bytes == [1])
      #expect(try peer.receive().bytes == [2])
      for peer in [address, try stranger.address.address] {
        try await expectCode(.socketIsConnected) { try await socket.send(bytes, to: peer) }
        try expectCode(.socketIsConnected) {
          _ = try socket.attempt(bytes, to: peer, on: loop)
        }
      }
      try stranger.send("not for it", to: .ipv4(port: try #require(socket.localAddress.port)))
      try peer.send("for it", to: .ipv4(port: try #require(socket.localAddress.port)))
      #expect(try await socket.receive().bytes == Array("for it".utf8))
      socket.close()
    }
  }

  @Test(arguments: families, [true, false])
  func `L-30 a socket changes its peer, and lets go of it, and keeps its port`(
    family: SocketAddress.Family, isChosen: Bool
  ) async throws {
    try await onTestLoop { loop, _ in
      let port = isChosen ? 0 : PlainAddress.quiet().port
      let socket = try await loop.bindUDP(to: .any(port: port, family: family))
      let own = try #require(socket.localAddress.port)
      let (first, second) = (try Self.plain(family), try Self.plain(family))
      for _ in 0..<3 {
        for peer in [first, second] {
          try await socket.connect(to: try peer.address.address)
          #expect(try socket.peerAddress == peer.address.address)
          try await socket.send([1])
          #expect(try peer.receive().sender.port == own)
        }
        if family == .ipv6 && !socket.inner.engine.canLetGo {
          try await expectCode(.notSupported) { try await socket.connect(to: nil) }
          #expect(try socket.peerAddress == second.address.address)
          continue
        }
        try await socket.connect(to: nil)
        try await socket.connect(to: nil)
        #expect(socket.peerAddress == nil && socket.localAddress == .any(port: own, family: family))
        try await expectCode(.addressRequired) { try await socket.send([1]) }
        try await socket.send([3], to: try first.address.address)
        let seen = try first.receive()
        #expect(seen.bytes == [3] && seen.sender.port == own)
        try first.send([4], to: seen.sender)
        #expect(try await socket.receive().bytes == [4])
      }
      socket.close()
    }
  }

  #if os(Linux)
    @Test func `L-30 a socket stays bound to its interface when it changes its peer`() async throws {
      try await onTestLoop { loop, _ in
        let socket = try await loop.bindUDP(to: .loopback(port: 0))
        let boundInterface: Int32 = 62  // SO_BINDTOIFINDEX
        let loopback = Int32(unsafe if_nametoindex("lo"))
        let status = try socket.withUnsafeDescriptor(isolation: loop) {
          Socket.set($0, SOL_SOCKET, boundInterface, loopback)
        }
        if status < 0 { return print("nobody may bind a socket to an interface here, and that was not tested") }
        for peer in [try PlainDatagrams().address.address, try PlainDatagrams().address.address, nil] {
          try await socket.connect(to: peer)
          let bound = try socket.withUnsafeDescriptor(isolation: loop) { Socket.get($0, SOL_SOCKET, boundInterface) }
          #expect(bound == loopback, "\(String(describing: peer))")
        }
        socket.close()
      }
    }
  #endif

  @Test func `L-30 where a connect fails there is no peer`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      try await socket.connect(to: try peer.address.address)
      let own = socket.localAddress
      for address in [SocketAddress.loopback(port: 0), try .unix("/tmp/x")] {
        try await expectCode(.invalidArgument) { try await socket.connect(to: address) }
        #expect(socket.peerAddress != nil, "it is refused before")
      }
      // Of another family.
      #expect(try await errorCode { try await socket.connect(to: .loopback(port: 9, family: .ipv6)) } != nil)
      #expect(socket.peerAddress == nil && socket.localAddress == own)
      try await socket.send([5], to: try peer.address.address)
      #expect(try peer.receive().sender == own.plain)
      socket.close()
    }
  }

  @Test func `L-90 metrics count the bytes of datagrams`() async throws {
    try await onTestLoop { loop, _ in
      let before = loop.metrics
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      try await socket.send([1, 2, 3], to: try peer.address.address)
      #expect(try socket.attempt([4, 5], to: try peer.address.address, on: loop))
      try peer.send([6, 7, 8, 9], to: socket.localAddress.plain)
      _ = try await socket.receive()
      let now = loop.metrics
      #expect(now.bytesWritten - before.bytesWritten == 5 && now.bytesRead - before.bytesRead == 4)
      socket.close()
    }
  }

  @Test func `L-90 a snapshot names a socket, who waits, and what is held`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      try await socket.connect(to: try peer.address.address)
      let receiving = loop.task { _ in try await socket.receive() }
      await expectEventually { loop.snapshot().sockets.first?.isReceiving == true }
      let ends = "\(socket.localAddress) > \(peer.address)"
      #expect(loop.snapshot().description.contains("sockets: 1 (\(ends), received from)"))
      #expect(socket.description == "UDPSocket \(ends) on loop \"test\"")
      for _ in 0..<3 { try peer.send([1], to: socket.localAddress.plain) }
      _ = try await receiving.value
      await expectEventually { loop.snapshot().sockets.first?.heldDatagrams == 2 }
      #expect(loop.snapshot().description.contains("sockets: 1 (\(ends), 2 datagrams held)"))
      socket.close()
      #expect(loop.snapshot().sockets.isEmpty)
      #expect(socket.description == "UDPSocket \(ends) on loop \"test\", closed")
    }
  }

  // MARK: - Binding

  @Test func `L-27 options that are not possible are refused, and nothing is opened`() async throws {
    try await onTestLoop { loop, _ in
      for maximum in [0, -1, 65_536, .max] {
        var options = UDPSocket.Options()
        options.maximumSize = maximum
        try await expectCode(.invalidArgument) { _ = try await loop.bindUDP(options: options) }
      }
      for capacity in [0, -1, .min] {
        var options = UDPSocket.Options()
        options.capacity = capacity
        try await expectCode(.invalidArgument) { _ = try await loop.bindUDP(options: options) }
      }
      try await expectCode(.invalidArgument) { _ = try await loop.bindUDP(to: .unix("/tmp/x")) }
      try await expectCode(.addressNotAvailable) { _ = try await loop.bindUDP(to: .ip("192.0.2.1", port: 0)) }
      #expect(loop.snapshot().sockets.isEmpty)
      await expectEventually { loop.snapshot().handles.isEmpty }
    }
  }

  @Test func `L-27 an address is one socket's, unless all share it`() async throws {
    try await onTestLoop { loop, _ in
      let alone = try await loop.bindUDP(to: .loopback(port: 0))
      for share in [false, true] {
        var options = UDPSocket.Options()
        (options.reuseAddress, options.reusePort) = (share, !share)
        try await expectCode(.addressInUse) { _ = try await loop.bindUDP(to: alone.localAddress, options: options) }
        let first = try await loop.bindUDP(to: .loopback(port: 0), options: options)
        let second = try await loop.bindUDP(to: first.localAddress, options: options)
        try await expectCode(.addressInUse) { _ = try await loop.bindUDP(to: first.localAddress) }
        first.close()
        second.close()
      }
      alone.close()
    }
  }

  @Test func `L-102 an option that is set through the descriptor of a socket holds`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let lives = try socket.withUnsafeDescriptor(isolation: loop) { descriptor in
        _ = Socket.set(descriptor, Int32(IPPROTO_IP), IP_TTL, 33)
        return Socket.get(descriptor, Int32(IPPROTO_IP), IP_TTL)
      }
      #expect(lives == 33)
      socket.close()
      try expectCode(.handleClosed) { try socket.withUnsafeDescriptor(isolation: loop) { _ in } }
    }
  }

  @Test func `L-102 on another loop what does not wait is refused`() async throws {
    try await withTestLoop("own") { own, _ in
      let socket = try await own.bindUDP(to: .loopback(port: 0))
      let group = try SocketAddress.ip("239.1.2.3", port: 1)
      try await onTestLoop("other") { other, _ in
        let calls: [() throws -> Void] = [
          { _ = try socket.attempt([1], to: .loopback(port: 1), on: other) },
          { try socket.joinGroup(group, isolation: other) },
          { try socket.leaveGroup(group, isolation: other) },
          { try socket.setTimeToLive(1, isolation: other) },
          { try socket.setMulticastTimeToLive(1, isolation: other) },
          { try socket.setMulticastLoop(true, isolation: other) },
          { try socket.setMulticastInterface(nil, isolation: other) },
          { try socket.withUnsafeDescriptor(isolation: other) { _ in } },
        ]
        for call in calls { try expectCode(.notOnLoop) { try call() } }
      }
      socket.close()
    }
  }
}
