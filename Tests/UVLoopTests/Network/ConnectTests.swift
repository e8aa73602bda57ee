import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Connecting, and what it throws.
@Suite(.sideBySide) struct ConnectTests {
  @Test func `a connection from anywhere belongs to the loop that was asked, and shows both addresses`() async throws {
    try await withTestLoop { loop, _ in
      let plain = try PlainListener()
      let endpoint = TCPEndpoint.loopback(port: plain.port)
      let outside = try await loop.connect(to: endpoint)
      let inside = try await loop.run { loop in try await loop.connect(to: endpoint) }
      let fromAnother = try await onTestLoop("other") { _, _ in try await loop.connect(to: endpoint) }
      for stream in [outside, inside, fromAnother] {
        let peer = try plain.accept()
        #expect(stream.peerAddress == .loopback(port: plain.port))
        #expect(stream.localAddress?.isLoopback == true)
        try await stream.write("hello")
        #expect(try peer.receive(exactly: 5) == Array("hello".utf8))
        try peer.sendAll("hi")
        #expect(try await stream.read(exactly: 2) == Array("hi".utf8))
        try await loop.run { _ in try stream.setNoDelay(false) }
      }
    }
  }

  @Test func `L-04 a refused connect throws connectionRefused once, and names the address`() async throws {
    try await onTestLoop { loop, _ in
      let handles = loop.probe.handles.open
      let error = await #expect(throws: UVError.self) { _ = try await loop.connect(to: .tcp("127.0.0.1", 1)) }
      #expect(error?.code == .connectionRefused)
      #expect(error?.call == "EventLoop.connect")
      #expect(error?.message.contains("127.0.0.1:1") == true)
      try await iterate(loop)
      #expect(loop.probe.handles.open == handles)
      #expect(loop.probe.requests.isEmpty)
    }
  }

  @Test func `the options hold from the beginning`() async throws {
    try await onTestLoop { loop, _ in
      let plain = try PlainListener()
      var options = ByteStream.Options()
      options.keepAlive = .seconds(77)
      options.noDelay = false
      options.sendBufferSize = 20_000
      let stream = try await loop.connect(to: .loopback(port: plain.port), options: options)
      try stream.withUnsafeDescriptor { descriptor in
        #expect(Socket.get(descriptor, SOL_SOCKET, SO_KEEPALIVE) > 0)
        #expect(Socket.get(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY) == 0)
        #expect((20_000...40_000).contains(Socket.get(descriptor, SOL_SOCKET, SO_SNDBUF)))
      }
      let quick = try await loop.connect(to: .loopback(port: plain.port))
      try quick.withUnsafeDescriptor { #expect(Socket.get($0, Int32(IPPROTO_TCP), TCP_NODELAY) > 0) }
      options.sendBufferSize = 0
      try await expectCode(.invalidArgument) {
        _ = try await loop.connect(to: .loopback(port: plain.port), options: options)
      }
    }
  }

  #if os(Linux)
    @Test func `the local address of the options is the one that the peer sees`() async throws {
      try await withTestLoop { loop, _ in
        let listener = try await loop.listen(on: .loopback(port: 0))
        var options = ByteStream.Options()
        options.localAddress = try .ip("127.0.0.9", port: 0)
        let client = try await loop.connect(to: .address(listener.address), options: options)
        let server = try await listener.accept()
        #expect(server.peerAddress?.host == "127.0.0.9")
        #expect(server.peerAddress == client.localAddress)

        options.localAddress = try .ip("192.0.2.1", port: 0)
        let error = await #expect(throws: UVError.self) {
          _ = try await loop.connect(to: .address(listener.address), options: options)
        }
        #expect(error?.code == .addressNotAvailable)
        #expect(error?.message.contains("192.0.2.1:0") == true)
      }
    }
  #endif

  @Test func `connecting to a name reaches one of its addresses`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .tcp("localhost", 0))
      let port = try #require(listener.address.port)
      let stream = try await loop.connect(to: .tcp("localhost", port))
      #expect(stream.peerAddress?.port == port)
      let any = try await loop.connect(to: .text("tcp://localhost:\(port)"))
      #expect(any is TCPStream)
      try await expectCode(.addressInfoUnknownName) { _ = try await loop.connect(to: .tcp("no.such.name.invalid", 80)) }
    }
  }

  // MARK: - Several addresses

  #if os(Linux)
    // On a time that only the test moves.

    @Test func `L-72 after 250 ms the second address is tried beside the first, and wins`() async throws {
      try await onTestLoop(time: .manual) { loop, _ in
        let silent = try SilentListener(on: .ipv4().at127(2))
        let plain = try PlainListener()
        let handles = loop.probe.handles.open
        let addresses = [try silent.address, .loopback(port: plain.port)]
        let task = loop.task { loop in try await loop.probe.connect(to: addresses) }
        try await loop.advance(by: .milliseconds(249))
        #expect(loop.probe.handles.open == handles + 1)
        #expect(loop.probe.requests.count == 1)
        try await loop.advance(by: .milliseconds(1))
        let stream = try await task.value
        #expect(stream.peerAddress == .loopback(port: plain.port))
        try await iterate(loop)
        // The loser has gone, with its handle, its request and the timer.
        #expect(loop.probe.handles.open == handles + 1)
        #expect(loop.probe.requests.isEmpty)
        #expect(loop.probe.timers == 0)
        let peer = try plain.accept()
        try await stream.write("won")
        #expect(try peer.receive(exactly: 3) == Array("won".utf8))
      }
    }

    @Test func `L-72 families alternate, and a failed attempt starts the next at once`() async throws {
      try await onTestLoop(time: .manual) { loop, _ in
        let silent = try SilentListener(on: .ipv4().at127(2))
        let plain = try PlainListener(on: .ipv6())
        // In this order: the silent one, the first of IPv6 at which nobody is, and the other silent one.
        let refused = try SocketAddress.ip("::1", port: 1)
        let addresses = [try silent.address, try silent.address, refused, try plain.address.address]
        let task = loop.task { loop in try await loop.probe.connect(to: addresses) }
        try await loop.advance(by: .milliseconds(250))
        try await loop.advance(by: .milliseconds(0))
        #expect(loop.probe.requests.count == 2)
        try await loop.advance(by: .milliseconds(250))
        #expect(try await task.value.peerAddress == (try plain.address.address))
      }
    }

    @Test func `L-73 where all addresses refuse, the error is the last one's, and names each with its own`()
      async throws
    {
      try await onTestLoop { loop, _ in
        var options = ByteStream.Options()
        options.localAddress = .loopback(port: 0)
        // From an address of IPv4 there is no way to one of IPv6.
        let addresses: [SocketAddress] = [
          .loopback(port: 1, family: .ipv6), .loopback(port: 1), try .ip("127.0.0.2", port: 2),
        ]
        let error = await #expect(throws: UVError.self) {
          _ = try await loop.probe.connect(to: addresses, options)
        }
        #expect(error?.code == .connectionRefused)
        #expect(error?.call == "EventLoop.connect")
        let message = error?.message ?? ""
        let parts = message.split(separator: ";")
        #expect(parts.count == 3, "\(message)")
        #expect(
          parts.first?.contains("[::1]:1") == true && parts.first?.contains("invalid argument") == true, "\(message)")
        #expect(message.contains("127.0.0.1:1") && message.contains("127.0.0.2:2"), "\(message)")
      }
    }

    @Test func `L-74 the timeout ends an attempt that nobody answers, and leaves nothing`() async throws {
      try await onTestLoop(time: .manual) { loop, _ in
        let silent = try SilentListener()
        let address = try silent.address
        let handles = loop.probe.handles.open
        let task = loop.task { loop in
          _ = try await loop.connect(to: .address(address), timeout: .milliseconds(100))
        }
        try await loop.advance(by: .milliseconds(99))
        #expect(loop.probe.requests.count == 1)
        try await loop.advance(by: .milliseconds(1))
        let error = await #expect(throws: UVError.self) { try await task.value }
        #expect(error?.code == .timedOut)
        #expect(error?.call == "EventLoop.connect")
        #expect(error?.message.contains("\(address)") == true)
        try await iterate(loop)
        #expect(loop.probe.handles.open == handles)
        #expect(loop.probe.requests.isEmpty)
        #expect(loop.probe.timers == 0)
      }
    }
  #endif

  @Test func `L-74 a timeout of zero connects to nobody, and a long one changes nothing`() async throws {
    try await onTestLoop { loop, _ in
      let plain = try PlainListener()
      let endpoint = TCPEndpoint.loopback(port: plain.port)
      let error = await #expect(throws: UVError.self) { _ = try await loop.connect(to: endpoint, timeout: .zero) }
      #expect(error?.code == .timedOut)
      #expect(error?.call == "EventLoop.connect")
      let stream = try await loop.connect(to: endpoint, timeout: .seconds(1_000))
      #expect(stream.peerAddress == .loopback(port: plain.port))
      #expect(loop.probe.timers == 0)
      try await expectCode(.connectionRefused) {
        _ = try await loop.connect(to: .tcp("127.0.0.1", 1), timeout: .seconds(1_000))
      }
      #expect(loop.probe.timers == 0)
    }
  }

  // MARK: - Cancellation and shutdown

  @Test func `L-05 cancelling a connect ends it at once, and closes what it has made`() async throws {
    try await onTestLoop { loop, _ in
      let silent = try SilentListener()
      let address = try silent.address
      let handles = loop.probe.handles.open
      let inside = loop.task { loop in _ = try await loop.connect(to: .address(address)) }
      let outside = Task { _ = try await loop.connect(to: .address(address)) }
      let inTime = loop.task { loop in _ = try await loop.connect(to: .address(address), timeout: .seconds(1_000)) }
      while loop.probe.requests.count < 3 { try await iterate(loop) }
      for task in [inside, outside, inTime] {
        task.cancel()
        try await expectCancelled { try await task.value }
      }
      try await iterate(loop)
      #expect(loop.probe.handles.open == handles)
      #expect(loop.probe.requests.isEmpty)
      #expect(loop.probe.timers == 0)
    }
  }

  @Test func `a connect in a cancelled task makes no socket`() async throws {
    try await onTestLoop { loop, _ in
      let plain = try PlainListener()
      let (created, port) = (loop.probe.handles.created, plain.port)
      let task = loop.task { loop in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        _ = try await loop.connect(to: .loopback(port: port))
      }
      try await expectCancelled { try await task.value }
      #expect(loop.probe.handles.created == created)
    }
  }

  @Test(arguments: [true, false])
  func `a shutdown ends a connect that is under way`(isUnix: Bool) async throws {
    try await withSocketPath { path in
      try await withTestLoop { loop, _ in
        let silent = try SilentListener(on: isUnix ? .unix(path) : .ipv4())
        let address = try silent.address
        let connect: @Sendable () async throws -> Void = {
          if isUnix {
            _ = try await loop.connect(to: .unix(path))
          } else {
            _ = try await loop.connect(to: .address(address))
          }
        }
        let outside = Task { try await connect() }
        let inside = loop.task { _ in try await connect() }
        await expectEventually { await loop.run { loop in loop.probe.requests.count + loop.probe.timers >= 2 } }
        await loop.shutdown()
        try await expectCode(.loopClosed) { try await outside.value }
        // Its task is the loop's, which cancels it. A queue that is full may have been looked at once more before.
        let error = await #expect(throws: (any Error).self) { try await inside.value }
        #expect(error is CancellationError || isUnix && (error as? UVError)?.code == .loopClosed)
        try await expectCode(.loopClosed) { try await connect() }
      }
    }
  }
}
