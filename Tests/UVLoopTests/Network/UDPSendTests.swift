import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Datagrams for which the kernel has no room, or that it does not take.
@Suite(.sideBySide) struct UDPSendTests {
  /// A socket whose kernel has no room, and a peer.
  private static func onFull(
    _ body:
      @Sendable (
        _ loop: isolated EventLoop, _ socket: UDPSocket, _ kernel: FullDatagrams, _ peer: PlainDatagrams
      ) async throws -> Void
  ) async throws {
    try await onTestLoop { loop, _ in
      let (socket, kernel) = try UDPSocket.full(on: loop)
      defer { socket.close() }
      try await body(loop, socket, kernel, try PlainDatagrams())
    }
  }

  /// Sends with these contents, begun in this order.
  private static func begin(
    _ contents: Range<UInt8>, _ loop: isolated EventLoop, _ socket: UDPSocket, to peer: PlainDatagrams
  ) async throws -> [Task<Void, any Error>] {
    let address = try peer.address.address
    var tasks: [Task<Void, any Error>] = []
    for number in contents {
      let before = socket.queuedBytes
      tasks.append(loop.task { _ in try await socket.send([number, 0, 0], to: address) })
      await expectEventually { socket.queuedBytes == before + 3 }
    }
    return tasks
  }

  private static func received(_ count: Int, by peer: PlainDatagrams) throws -> [UInt8] {
    try (0..<count).map { _ in try peer.receive().bytes[0] }
  }

  @Test(arguments: [nil, 1, 3])
  func `L-27 who finds no room waits, and those who come later wait behind`(step: Int?) async throws {
    try await Self.onFull { loop, socket, kernel, peer in
      let tasks = try await Self.begin(0..<10, loop, socket, to: peer)
      #expect(socket.queuedBytes == 30)
      #expect(loop.snapshot().description.contains("30 bytes queued"))
      let address = try peer.address.address
      #expect(try !socket.attempt([1], to: address, on: loop))
      if let step {
        var left = 30
        while left > 0 {
          kernel.makeRoom(for: step)
          left = max(0, left - 3 * step)
          await expectEventually { socket.queuedBytes == left && (left == 0 || kernel.hasDatagram) }
        }
        kernel.makeRoom()
      } else {
        kernel.makeRoom()
      }
      for task in tasks { try await task.value }
      #expect(try Self.received(10, by: peer) == Array(0..<10))
      #expect(try socket.attempt([77], to: address, on: loop))
      #expect(try peer.receive().bytes == [77] && socket.queuedBytes == 0)
    }
  }

  @Test func `L-30 a connect is busy while datagrams wait, which would go to the new peer`() async throws {
    try await Self.onFull { loop, socket, kernel, peer in
      let tasks = try await Self.begin(0..<2, loop, socket, to: peer)
      try await expectCode(.busy) { try await socket.connect(to: try peer.address.address) }
      try await expectCode(.busy) { try await socket.connect(to: nil) }
      #expect(socket.peerAddress == nil)
      kernel.makeRoom()
      for task in tasks { try await task.value }
      try await socket.connect(to: try peer.address.address)
      #expect(try socket.peerAddress == peer.address.address)
    }
  }

  @Test func `L-27 many that wait go out without keeping others from the loop`() async throws {
    try await Self.onFull { loop, socket, kernel, peer in
      let tasks = try await Self.begin(0..<200, loop, socket, to: peer)
      let hadTurn = Shared(false)
      kernel.makeRoom()
      try loop.post { hadTurn.value = true }
      try await tasks[150].value
      #expect(hadTurn.value)
      for task in tasks { try await task.value }
      #expect(try Self.received(200, by: peer) == Array(0..<200))
    }
  }

  @Test func `L-57 a send that is cancelled behind another sends nothing, and one that has begun goes out`()
    async throws
  {
    try await Self.onFull { loop, socket, kernel, peer in
      let tasks = try await Self.begin(0..<4, loop, socket, to: peer)
      for cancelled in [2, 0] {
        tasks[cancelled].cancel()
        try await expectCancelled { try await tasks[cancelled].value }
      }
      #expect(socket.queuedBytes == 9)
      kernel.makeRoom()
      try await tasks[1].value
      try await tasks[3].value
      #expect(try Self.received(3, by: peer) == [0, 1, 3])
      #expect(socket.queuedBytes == 0)
      let late = loop.task { _ in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        try await socket.send([9], to: try peer.address.address)
      }
      try await expectCancelled { try await late.value }
      try await iterate(loop)
      #expect(try peer.receiveNow() == nil)
    }
  }

  @Test func `L-57 a send that is cancelled before its wait begins leaves nothing behind`() async throws {
    try await Self.onFull { loop, socket, kernel, peer in
      let tasks = try await Self.begin(0..<1, loop, socket, to: peer)
      // The task is cancelled within the call, behind the look at that.
      let address = try peer.address.address
      for _ in 0..<20 {
        let task = loop.task { _ in try await socket.send([9, 9], to: address) }
        try await iterate(loop, times: 1)
        task.cancel()
        try await expectCancelled { try await task.value }
      }
      #expect(socket.queuedBytes == 3)
      kernel.makeRoom()
      try await tasks[0].value
      #expect(try Self.received(1, by: peer) == [0])
      try await iterate(loop)
      #expect(try peer.receiveNow() == nil)
    }
  }

  @Test func `L-27 nobody overtakes those who wait`() async throws {
    try await Self.onFull { loop, socket, kernel, peer in
      let tasks = try await Self.begin(0..<2, loop, socket, to: peer)
      kernel.findRoom()
      let address = try peer.address.address
      #expect(try !socket.attempt([9], to: address, on: loop))
      let last = try await Self.begin(2..<3, loop, socket, to: peer)
      kernel.makeRoom()
      for task in tasks + last { try await task.value }
      #expect(try Self.received(3, by: peer) == [0, 1, 2])
    }
  }

  @Test func `L-27 an error is of one datagram, and the others are sent`() async throws {
    try await Self.onFull { loop, socket, kernel, peer in
      let tasks = try await Self.begin(0..<2, loop, socket, to: peer)
      let large = loop.task { _ in
        try await socket.send([UInt8](repeating: 1, count: 70_000), to: try peer.address.address)
      }
      await expectEventually { socket.queuedBytes == 70_006 }
      let last = try await Self.begin(2..<3, loop, socket, to: peer)
      kernel.fail(.networkUnreachable)
      try await expectCode(.networkUnreachable) { try await tasks[0].value }
      kernel.makeRoom()
      try await tasks[1].value
      try await expectCode(.messageTooLong) { try await large.value }
      try await last[0].value
      #expect(try Self.received(2, by: peer) == [1, 2])
    }
  }

  @Test func `L-31 at a close each send that waits ends with handleClosed, once`() async throws {
    try await Self.onFull { loop, socket, kernel, peer in
      let tasks = try await Self.begin(0..<3, loop, socket, to: peer)
      let elsewhere = Task.detached { try await socket.send([5, 5, 5], to: try peer.address.address) }
      await expectEventually { socket.queuedBytes == 12 }
      socket.close()
      for task in tasks + [elsewhere] { try await expectCode(.handleClosed) { try await task.value } }
      #expect(socket.queuedBytes == 0)
      try await expectCode(.handleClosed) { try await socket.send([1], to: try peer.address.address) }
      try expectCode(.handleClosed) {
        _ = try socket.attempt([1], to: try peer.address.address, on: loop)
      }
      #expect(try peer.receiveNow() == nil)
    }
  }

  @Test(arguments: [true, false])
  func `L-85 a shutdown ends sends and receives that wait`(isOwn: Bool) async throws {
    try await withTestLoop { loop, _ in
      let (socket, kernel) = try await loop.run { loop in Disconnected(try UDPSocket.full(on: loop)) }.take()
      let address = try PlainDatagrams().address.address
      let calls: [@Sendable () async throws -> Void] = [
        { try await socket.send([1], to: address) }, { try await socket.send([2], to: address) },
        { _ = try await socket.receive() },
      ]
      let tasks = calls.map { call in isOwn ? loop.task { _ in try await call() } : Task { try await call() } }
      await expectEventually { socket.queuedBytes == 2 && socket.inner.receiver.hasWaiter }
      await loop.shutdown()
      for task in tasks {
        if isOwn {
          try await expectCancelled { try await task.value }
        } else {
          try await expectCode(.loopClosed) { try await task.value }
        }
      }
      for call in calls { try await expectCode(.loopClosed) { try await call() } }
      #expect(socket.isClosed && kernel.hasDatagram)
      socket.close()
    }
  }

  @Test(arguments: [true, false])
  func `L-85 a shutdown ends the wait of a task for which one of the loop waits`(isSend: Bool) async throws {
    try await withTestLoop { loop, _ in
      let (socket, kernel) = try await loop.run { loop in Disconnected(try UDPSocket.full(on: loop)) }.take()
      let begun = Event("the wait")
      let task = loop.task { _ in
        await Task.detached {
          begun.signal()
          return await codeOfError {
            if isSend { try await socket.send([1], to: .loopback(port: 9)) } else { _ = try await socket.receive() }
          }
        }.value
      }
      try await begun.wait()
      await expectEventually { await loop.run { _ in kernel.hasDatagram || socket.inner.receiver.hasWaiter } }
      let report = await loop.shutdown(within: .seconds(10))
      #expect(report.unfinished.isEmpty)
      #expect(await task.value == .loopClosed)
    }
  }

  // MARK: - What the kernel says

  @Test func `L-27 a datagram that is too large throws messageTooLong, and nothing is sent`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      let peer = try PlainDatagrams()
      let address = try peer.address.address
      for count in [65_508, 65_536, 1 << 20] {
        try await expectCode(.messageTooLong) {
          try await socket.send([UInt8](repeating: 1, count: count), to: address)
        }
      }
      try await socket.send([2], to: address)
      #expect(try peer.receive().bytes == [2])
      socket.close()
    }
  }

  @Test func `L-27 an address that nobody can have is refused`() async throws {
    try await onTestLoop { loop, _ in
      let socket = try await loop.bindUDP(to: .loopback(port: 0))
      for address in [SocketAddress.loopback(port: 0), try .unix("/tmp/x"), try .unix("@x")] {
        try await expectCode(.invalidArgument) { try await socket.send([1], to: address) }
      }
      let code = try await errorCode { try await socket.send([1], to: .loopback(port: 9, family: .ipv6)) }
      #expect(code == .addressFamilyNotSupported || code == .invalidArgument)
      socket.close()
    }
  }

  #if os(Linux)
    @Test func `L-32 a broadcast needs the option, and arrives`() async throws {
      try await onTestLoop { loop, _ in
        let receiver = try await loop.bindUDP(to: .any(port: 0))
        let everybody = try SocketAddress.ip("127.255.255.255", port: try #require(receiver.localAddress.port))
        let plain = try await loop.bindUDP(to: .loopback(port: 0))
        try await expectCode(.permissionDenied) { try await plain.send([1], to: everybody) }
        try await expectCode(.permissionDenied) { try await plain.connect(to: everybody) }
        var options = UDPSocket.Options()
        options.broadcast = true
        let sender = try await loop.bindUDP(to: .loopback(port: 0), options: options)
        try await sender.send([2], to: everybody)
        #expect(
          try await receiver.receive() == Datagram(bytes: [2], peerAddress: sender.localAddress))
        for socket in [receiver, plain, sender] { socket.close() }
      }
    }
  #endif
}

/// A kernel that says itself that it has no room. Each is a process of its own.
@Suite(.alone) struct RefusedSendTests {
  #if os(Linux) && (arch(x86_64) || arch(arm64))
    @Test func `L-27 sends wait for the kernel, in their order, while datagrams come`() async {
      await #expect(processExitsWith: .success) {
        try await RefusedSendTests.onRefusing { loop, socket, kernel, peer in
          let address = try peer.address.address
          let tasks = (UInt8(0)..<20).map { number in loop.task { _ in try await socket.send([number], to: address) } }
          await expectEventually { socket.queuedBytes == 20 && kernel.refused > 3 }
          #expect(try !socket.attempt([1], to: address, on: loop))
          for number in UInt8(0)..<20 {
            try peer.send([number], to: socket.localAddress.plain)
            #expect(try await socket.receive().bytes == [number])
          }
          tasks[0].cancel()
          tasks[5].cancel()
          for task in [tasks[0], tasks[5]] { try await expectCancelled { try await task.value } }
          kernel.makeRoom()
          for (number, task) in tasks.enumerated() where number != 0 && number != 5 { try await task.value }
          let seen = try (0..<19).map { _ in try peer.receive().bytes[0] }
          #expect(seen == Array(0..<20).filter { $0 != 5 })
          socket.close()
        }
      }
    }

    @Test func `L-31 a receiver may close the socket while a datagram waits to be sent`() async {
      await #expect(processExitsWith: .success) {
        for _ in 0..<20 {
          try await RefusedSendTests.onRefusing { loop, socket, kernel, peer in
            let address = try peer.address.address
            let receiving = loop.task { _ in
              _ = try await socket.receive()
              socket.close()
            }
            await expectEventually { socket.inner.receiver.hasWaiter }
            let sending = loop.task { _ in try await socket.send([1], to: address) }
            await expectEventually { kernel.refused > 3 }
            try peer.send([7], to: socket.localAddress.plain)
            try await receiving.value
            try await expectCode(.handleClosed) { try await sending.value }
            try await iterate(loop)
          }
        }
      }
    }

    @Test func `L-85 a shutdown ends what libuv has to send`() async {
      await #expect(processExitsWith: .success) {
        try await RefusedSendTests.onRefusing { loop, socket, kernel, peer in
          let address = try peer.address.address
          let sends = (0..<2).map { _ in Task.detached { try await socket.send([1], to: address) } }
          await expectEventually { kernel.refused > 3 && socket.queuedBytes == 2 }
          #expect(loop.snapshot().requests.isEmpty && loop.snapshot().foreignRequests == 0)
          let ending = Task.detached { await loop.shutdown() }
          for send in sends { try await expectCode(.loopClosed) { try await send.value } }
          #expect(await ending.value.unfinished.isEmpty)
          #expect(try peer.receiveNow() == nil)
        }
      }
    }

    @Test func `L-79 a socket that is dropped while libuv has a datagram of it is closed`() async {
      await #expect(processExitsWith: .success) {
        try await onTestLoop { loop, _ in
          let peer = try PlainDatagrams()
          let address = try peer.address.address
          var socket: UDPSocket? = try await loop.bindUDP(to: .loopback(port: 0))
          let core = try #require(socket?.inner)
          guard let kernel = RefusedSends(of: core.engine.descriptor) else { return RefusedSendTests.say() }
          let sending = loop.task { [socket] _ in try await socket?.send([1], to: address) }
          await expectEventually { kernel.refused > 3 }
          socket = nil
          #expect(!core.isClosed, "who sends keeps it")
          sending.cancel()
          try await expectCancelled { try await sending.value }
          await expectEventually { core.isClosed && loop.snapshot().handles.isEmpty }
        }
      }
    }

    static func say() { print("the kernel cannot be kept from sending here, and what that leads to was not tested") }

    static func onRefusing(
      _ body:
        @Sendable (
          _ loop: isolated EventLoop, _ socket: UDPSocket, _ kernel: RefusedSends, _ peer: PlainDatagrams
        ) async throws -> Void
    ) async throws {
      try await onTestLoop { loop, _ in
        let socket = try await loop.bindUDP(to: .loopback(port: 0))
        let peer = try PlainDatagrams()
        guard let kernel = RefusedSends(of: socket.inner.engine.descriptor) else { return say() }
        try await body(loop, socket, kernel, peer)
      }
    }
  #endif
}
