import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How sockets end, and what they meet on the way.
@Suite(.sideBySide) struct UDPEndTests {
  @Test(arguments: [true, false])
  func `L-31 nothing is delivered after close, and who waits gets handleClosed`(isElsewhere: Bool) async throws {
    try await withTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: PlainAddress.quiet().address)
      let peer = try PlainDatagrams()
      let tasks = [loop.task { _ in try await socket.receive() }]
      await expectEventually { socket.inner.receiver.hasWaiter }
      if isElsewhere { socket.close() } else { await loop.run { _ in socket.close() } }
      #expect(socket.isClosed)
      socket.close()
      // The loop has heard of it.
      await loop.run { _ in }
      try? peer.send([1], to: socket.localAddress.plain)
      for task in tasks { try await expectCode(.handleClosed) { _ = try await task.value } }
      try await expectCode(.handleClosed) { _ = try await socket.receive() }
      try await expectCode(.handleClosed) { try await socket.receive { _, _, _ in } }
      try await expectCode(.handleClosed) { try await socket.send([1], to: .loopback(port: 1)) }
      try await expectCode(.handleClosed) { try await socket.connect(to: .loopback(port: 1)) }
      try await loop.run { loop in
        let group = try SocketAddress.ip("239.1.2.3", port: 1)
        try expectCode(.handleClosed) { try socket.joinGroup(group, isolation: loop) }
        try expectCode(.handleClosed) { try socket.setTimeToLive(3, isolation: loop) }
        try expectCode(.handleClosed) { try socket.setMulticastInterface("lo", isolation: loop) }
      }
    }
  }

  @Test func `L-31 what is held at a close is dropped`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      for _ in 0..<3 { try peer.send([1], to: socket.localAddress.plain) }
      _ = try await socket.receive()
      await expectEventually { socket.inner.receiver.heldCount == 2 }
      socket.close()
      #expect(socket.inner.receiver.heldCount == 0)
      try await expectCode(.handleClosed) { _ = try await socket.receive() }
    }
  }

  @Test(arguments: [true, false])
  func `L-31 a receiver may close the socket when it has a datagram`(isInline: Bool) async throws {
    try await onTestLoop { loop, _ in
      loop.probe.runsInline = isInline
      let peer = try PlainDatagrams()
      for _ in 0..<20 {
        let socket = try await loop.bindUDP(to: PlainAddress.quiet().address)
        let receiving = loop.task { _ in
          _ = try await socket.receive { bytes, _, _ in socket.close() }
        }
        await expectEventually { socket.inner.receiver.hasWaiter }
        for _ in 0..<3 { try peer.send([1], to: socket.localAddress.plain) }
        try await receiving.value
        #expect(socket.isClosed)
      }
    }
  }

  @Test func `L-31 the address is free for the next one when the loop has gone round`() async throws {
    try await onTestLoop { loop, _ in
      let first = try await loop.bindUDP(to: PlainAddress.quiet().address)
      let address = first.localAddress
      for _ in 0..<20 {
        let receiving = loop.task { _ in try await first.receive() }
        await expectEventually { first.inner.receiver.hasWaiter || first.isClosed }
        first.close()
        try await expectCode(.handleClosed) { _ = try await receiving.value }
        var bound: UDPSocket?
        // A process that is just being started may have the socket still.
        await expectEventually {
          bound = try? await loop.bindUDP(to: address)
          return bound != nil
        }
        let next = try #require(bound)
        try PlainDatagrams().send([1], to: address.plain)
        #expect(try await next.receive().bytes == [1])
        next.close()
      }
    }
  }

  @Test(arguments: [true, false])
  func `L-79 a socket that is dropped closes its descriptor, on whatever thread`(isOnLoop: Bool) async throws {
    try await withTestLoop { loop, _ in
      var socket: UDPSocket? = try await loop.bindUDP(to: PlainAddress.quiet().address)
      // It receives by itself from now on.
      let address = try #require(socket?.localAddress)
      try PlainDatagrams().send([1], to: address.plain)
      _ = try await socket?.receive()
      if isOnLoop {
        let box = Shared(socket)
        socket = nil
        await loop.run { _ in box.value = nil }
      } else {
        socket = nil
      }
      await expectEventually { await loop.run { $0.probe.handles.open == 0 && $0.probe.sockets.isEmpty } }
      #expect(throws: Never.self) { try PlainDatagrams(on: address.plain) }
    }
  }

  @Test func `L-85 sockets with a task each, at a shutdown, end each wait once`() async throws {
    for seed in Seeds.first(3) {
      try await withTestLoop { loop, _ in
        var random = SplitMix(seed: seed)
        var calls: [Task<Void, any Error>] = []
        let address = try PlainAddress.quiet().address
        for _ in 0..<50 {
          let socket = try await loop.bindUDP(to: .loopback(port: 0))
          let kind = Int.random(in: 0..<3, using: &random)
          let call: @Sendable () async throws -> Void = {
            while true {
              switch kind {
              case 0: _ = try await socket.receive()
              case 1: try await socket.send([1], to: address)
              default: for try await _ in socket {}
              }
            }
          }
          calls.append(Bool.random(using: &random) ? loop.task { _ in try await call() } : Task { try await call() })
        }
        try await loop.sleep(for: .microseconds(Int.random(in: 0..<2_000, using: &random)))
        let report = await loop.shutdown()
        #expect(report.unfinished.isEmpty)
        for call in calls {
          let error = await #expect(throws: (any Error).self) { try await call.value }
          #expect(
            error is CancellationError || (error as? UVError)?.code == .loopClosed, "seed \(seed): \(error as Any)")
        }
      }
    }
  }

  @Test func `L-85 what a task still has when the time is over is named`() async throws {
    let loop = try EventLoop(.init(name: "named"))
    let (hasSocket, mayEnd) = (Event("the task has its socket"), Event("the task may end"))
    let task = loop.task(name: "holder") { loop in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      hasSocket.signal()
      // It does not hear of its cancellation.
      await Task { try? await mayEnd.wait() }.value
      return (socket.localAddress, socket.isClosed)
    }
    try await hasSocket.wait()
    let report = await loop.shutdown(within: .milliseconds(20))
    mayEnd.signal()
    let (address, isClosed) = try await task.value
    #expect(report.unfinished.filter { $0.kind == .socket }.map(\.label) == ["UDPSocket \(address)"])
    #expect(isClosed)
    await expectThreadGone(loop.thread)
  }

  @Test func `L-31 an open socket does not hold a time that jumps, and one that is received from does`() async throws {
    try await onTestLoop(time: .autojump) { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      try peer.send([1], to: socket.localAddress.plain)
      _ = try await socket.receive()
      // Hours pass at once.
      try await loop.sleep(for: .seconds(36_000))
      let sent = PlainThread {
        // A time that jumps would do so before the loop sleeps.
        let deadline = MonotonicClock.now(plus: .seconds(20))
        while !(socket.inner.receiver.hasWaiter && loop.probe.isAsleep) && MonotonicClock.now() < deadline {}
        try? peer.send([2], to: socket.localAddress.plain)
      }
      let answer = try await loop.withTimeout(.seconds(36_000)) { try await socket.receive() }
      #expect(answer.bytes == [2])
      try await sent.join()
      socket.close()
    }
  }

  #if os(Linux)
    @Test func `L-29 an interface that goes away takes nobody along, and what comes when it is back is received`()
      async throws
    {
      guard let network = try await SeparateNetwork() else {
        print("no network can be made here, and what the end of an interface leads to was not tested")
        return
      }
      try await onTestLoop { loop, _ in
        let (socket, peer) = try network.inside {
          (
            UDPSocket(UDPCore(try loop.probe.udpEngine(at: .any(port: 0)), .init())), try PlainDatagrams()
          )
        }
        let address = try peer.address.address
        let own = PlainAddress.ipv4(port: try #require(socket.localAddress.port))
        try await socket.send([1], to: address)
        #expect(try peer.receive().bytes == [1])
        let receiving = loop.task { _ in try await socket.receive() }
        await expectEventually { socket.inner.receiver.hasWaiter }

        network.setLoopback(isUp: false)
        // It is refused, or lost.
        for _ in 0..<3 { _ = try await errorCode { try await socket.send([2], to: address) } }
        try await iterate(loop)
        let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(20)) }
        #expect(iterations < 10)
        #expect(socket.inner.receiver.hasWaiter)

        network.setLoopback(isUp: true)
        try await socket.send([3], to: address)
        #expect(try peer.receive().bytes == [3])
        try peer.send([4], to: own)
        #expect(try await receiving.value.bytes == [4])
        socket.close()
      }
    }
  #endif
}

/// What is process-wide.
@Suite(.alone) struct UDPProcessTests {
  @Test func `L-31 sockets leave no descriptor`() async throws {
    try await warmUpProcess()
    let before = Process.loopDescriptors
    try await onTestLoop { loop, _ in
      let peer = try PlainDatagrams()
      for round in 0..<50 {
        let socket = try await loop.bindUDP(to: .loopback(port: 0))
        try await socket.send([1], to: try peer.address.address)
        try peer.send([2], to: socket.localAddress.plain)
        if round % 2 == 0 { _ = try await socket.receive() }
        if round % 3 == 0 { socket.close() }
        try await expectCode(.addressInUse) { _ = try await loop.bindUDP(to: try peer.address.address) }
      }
    }
    await expectEventually { Process.loopDescriptors.isSubset(of: before) }
  }

  @Test func `G-19 in the child using the parent's socket traps, and it goes on in the parent`() async {
    await #expect(processExitsWith: .success) {
      try await withTestLoop("the parent's") { loop, _ in
        let socket = try await loop.bindUDP(to: .loopback(port: 0))
        let (ending, text) = try #require(
          Fork.child {
            socket.close()
            return 0
          }
        ).end()
        #expect(ending.isTrap)
        #expect(text.contains("UVLoop: loop \"the parent's\" belongs to the parent of this process"))
        try PlainDatagrams().send([7], to: socket.localAddress.plain)
        #expect(try await socket.receive().bytes == [7])
        socket.close()
      }
    }
  }
}
