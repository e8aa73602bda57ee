import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The receiving side of a socket: who waits, what is held, and what came back.
@Suite(.sideBySide) struct UDPReceiveTests {
  @Test func `L-44 a second receiver throws busy, and disturbs the first in nothing`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let first = loop.task { _ in try await socket.receive() }
      await expectEventually { socket.inner.receiver.hasWaiter }
      try await expectCode(.busy) { _ = try await socket.receive() }
      try await expectCode(.busy) { try await socket.receive { _, _, _ in } }
      try PlainDatagrams().send([8], to: socket.localAddress.plain)
      #expect(try await first.value.bytes == [8])
      socket.close()
    }
  }

  @Test func `L-45 a cancelled receive loses no datagram`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      var random = SplitMix(seed: 45)
      var received: [[UInt8]] = []
      for number in UInt8(0)..<100 {
        let task = loop.task { _ in try await socket.receive() }
        if Bool.random(using: &random) { try await iterate(loop, times: 1) }
        try peer.send([number], to: socket.localAddress.plain)
        if Bool.random(using: &random) { try await iterate(loop, times: 1) }
        task.cancel()
        do { received.append(try await task.value.bytes) } catch is CancellationError {}
      }
      while received.count < 100 { received.append(try await socket.receive().bytes) }
      #expect(received == (UInt8(0)..<100).map { [$0] })
      // In a task that is cancelled already it stays where it is.
      try peer.send([200], to: socket.localAddress.plain)
      await expectEventually { socket.inner.receiver.heldCount == 1 }
      let late = loop.task { _ in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        return try await socket.receive()
      }
      try await expectCancelled { _ = try await late.value }
      #expect(try await socket.receive().bytes == [200])
      socket.close()
    }
  }

  @Test func `L-53 a sequence ends when its socket is closed, and goes on behind a break`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      for number in UInt8(0)..<5 { try peer.send([number], to: socket.localAddress.plain) }
      var seen: [UInt8] = []
      for try await datagram in socket {
        seen += datagram.bytes
        if seen.count == 2 { break }
      }
      for try await datagram in socket {
        seen += datagram.bytes
        if seen.count == 5 { socket.close() }
      }
      #expect(seen == [0, 1, 2, 3, 4])
      try await expectCode(.handleClosed) { _ = try await socket.receive() }
    }
  }

  @Test(arguments: [1, 100, 1_000])
  func `L-91 a datagram that is larger than the maximum arrives cut, and says so`(maximum: Int) async throws {
    try await onTestLoop { loop, _ in
      var options = UDPSocket.Options()
      options.maximumSize = maximum
      let socket = try await loop.bindUDP(to: .loopback(port: 0), options: options)
      let peer = try PlainDatagrams()
      for count in [maximum - 1, maximum, maximum + 1, 2_000] {
        let bytes = Pattern(seed: 91).bytes(count: count)
        try peer.send(bytes, to: socket.localAddress.plain)
        let datagram = try await socket.receive()
        #expect(datagram.bytes == Array(bytes.prefix(maximum)) && datagram.isTruncated == (count > maximum))
      }
      socket.close()
    }
  }

  @Test func `L-91 the largest datagram of IPv4 arrives whole`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      let bytes = Pattern(seed: 91).bytes(count: 65_507)
      try peer.send(bytes, to: socket.localAddress.plain)
      #expect(try await socket.receive() == Datagram(bytes: bytes, peerAddress: peer.address.address))
      socket.close()
    }
  }

  @Test(arguments: [1, 4, 64])
  func `L-92 no more than the capacity is held, others wait in the kernel, and all come in order`(
    capacity: Int
  ) async throws {
    try await onTestLoop { loop, _ in
      var options = UDPSocket.Options()
      options.capacity = capacity
      let socket = try await loop.bindUDP(to: .loopback(port: 0), options: options)
      let peer = try PlainDatagrams()
      // Receiving begins with the first call.
      try peer.send([255], to: socket.localAddress.plain)
      try await iterate(loop)
      #expect(socket.inner.receiver.heldCount == 0)
      #expect(try await socket.receive().bytes == [255])

      for number in UInt8(0)..<100 { try peer.send([number], to: socket.localAddress.plain) }
      await expectEventually { socket.inner.receiver.heldCount == capacity }
      try await iterate(loop, times: 20)
      #expect(socket.inner.receiver.heldCount == capacity)
      // Nor does it look again and again.
      let iterations = try await loop.probe.iterations { try await loop.sleep(for: .milliseconds(20)) }
      #expect(iterations < 10)
      var received: [UInt8] = []
      // It goes on when half of them have been taken, and not only when somebody waits.
      while socket.inner.receiver.heldCount > capacity / 2 { received += try await socket.receive().bytes }
      await expectEventually { socket.inner.receiver.heldCount == capacity }
      while received.count < 100 {
        received += try await socket.receive().bytes
        #expect(socket.inner.receiver.heldCount <= capacity)
        if received.count % 7 == 0 { try await iterate(loop, times: 1) }
      }
      #expect(received == Array(0..<100))
      socket.close()
    }
  }

  @Test(arguments: [true, false])
  func `L-93 what came back of an earlier datagram is thrown by the next call, once, and the socket works on`(
    isReceiving: Bool
  ) async throws {
    if !(await isToldOfRefusal()) { return }
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let address = PlainAddress.quiet()
      let peer = try PlainDatagrams(on: address)
      try await socket.connect(to: try address.address)
      peer.close()
      try await Self.provoke(socket, isReceiving)
      // Somebody is there now.
      let late = try PlainDatagrams(on: address)
      try await socket.send([1])
      #expect(try late.receive().bytes == [1])
      try late.send([2], to: socket.localAddress.plain)
      #expect(try await socket.receive().bytes == [2])
      socket.close()
    }
  }

  /// Sends until that comes back, since the kernel limits how often it says so.
  private static func provoke(_ socket: UDPSocket, _ isReceiving: Bool) async throws {
    for _ in 0..<100 {
      let code = try await errorCode {
        try await socket.send([0])
        if isReceiving {
          try await EventLoop.current?.withTimeout(.milliseconds(100)) { _ = try await socket.receive() }
        } else {
          try await EventLoop.current?.sleep(for: .milliseconds(5))
        }
      }
      if code == .connectionRefused { return }
    }
    Issue.record("it is never told")
  }

  @Test func `L-93 who sends only is told too of what came back while nobody received`() async throws {
    if !(await isToldOfRefusal()) { return }
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let address = PlainAddress.quiet()
      let peer = try PlainDatagrams(on: address)
      try await socket.connect(to: try address.address)
      try peer.send([9], to: socket.localAddress.plain)
      // From now on the socket receives by itself.
      #expect(try await socket.receive().bytes == [9])
      peer.close()
      try await Self.provoke(socket, false)
      let late = try PlainDatagrams(on: address)
      try await socket.send([1])
      #expect(try late.receive().bytes == [1])
      socket.close()
    }
  }

  @Test(arguments: [true, false])
  func `L-93 what came back of an old peer is no error of the next, nor of anybody's`(hasNext: Bool) async throws {
    if !(await isToldOfRefusal()) { return }
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      try await socket.connect(to: try PlainAddress.quiet().address)
      // Nobody receives, so that the kernel keeps it.
      await expectEventually {
        _ = try? socket.attempt([0], to: nil, on: loop)
        return
          (try? socket.withUnsafeDescriptor(isolation: loop) { number in
            var entry = pollfd(fd: number, events: 0, revents: 0)
            return unsafe poll(&entry, 1, 10) > 0 && entry.revents & Int16(POLLERR) != 0
          }) == true
      }
      let peer = try PlainDatagrams()
      let address = try peer.address.address
      try await socket.connect(to: hasNext ? address : nil)
      try await socket.send([7], to: hasNext ? nil : address)
      #expect(try peer.receive().bytes == [7])
      socket.close()
    }
  }

  @Test(arguments: [true, false])
  func `L-94 sends and receives in a row cause no wake`(isInline: Bool) async throws {
    try await onTestLoop { loop, _ in
      loop.probe.runsInline = isInline
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      let echo = PlainThread {
        do {
          for _ in 0..<1_000 {
            let (bytes, sender) = try peer.receive()
            try peer.send(bytes, to: sender)
          }
        } catch {
          Issue.record(error)
        }
      }
      let address = try peer.address.address
      let count = try await loop.probe.wakes {
        for number in 0..<1_000 {
          let bytes = [UInt8(truncatingIfNeeded: number)]
          try await socket.send(bytes, to: address)
          #expect(try await socket.receive().bytes == bytes)
        }
      }
      #expect(count == 0)
      try await echo.join()
      socket.close()
    }
  }

  @Test func `L-59 a task that never has to wait lets the loop go round`() async throws {
    try await onTestLoop { loop, _ in
      var options = UDPSocket.Options()
      options.capacity = 1_000
      let socket = try await loop.bindUDP(to: .loopback(port: 0), options: options)
      let peer = try await loop.bindUDP(to: .loopback(port: 0))
      // As many as the kernel keeps.
      let count = 200
      let hadTurn = Shared(false)
      try loop.post { hadTurn.value = true }
      for number in 0..<count { try await peer.send([UInt8(number)], to: socket.localAddress) }
      #expect(hadTurn.value)
      _ = try await socket.receive()
      try #require(await eventually { socket.inner.receiver.heldCount == count - 1 })
      hadTurn.value = false
      try loop.post { hadTurn.value = true }
      for _ in 1..<count { _ = try await socket.receive() }
      #expect(hadTurn.value)
      socket.close()
      peer.close()
    }
  }
}
