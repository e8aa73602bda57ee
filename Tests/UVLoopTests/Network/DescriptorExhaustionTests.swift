import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A process that has no descriptor left. Each test lowers the limit of a process of its own.
@Suite(.alone) struct DescriptorExhaustionTests {
  // All of it runs on the loop: libdispatch ends a process that has no descriptor for it while its pool is busy.

  @Test func `L-16 a server out of descriptors goes on when there are some again, and loses nobody`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop { loop, _ in
        try await warmUp(loop)
        let listener = try await loop.listen(on: .loopback(port: 0))
        let peers = try (0..<20).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        for (number, peer) in peers.enumerated() { try peer.sendAll([UInt8(number)]) }
        ProcessLimit.descriptors.leave(3)
        let server = loop.task { _ in
          try await listener.serve { _, stream in for try await bytes in stream { try await stream.write(bytes) } }
        }
        // Each that ends makes room for the next.
        for (number, peer) in peers.enumerated() {
          #expect(try await loop.offload { try peer.receive(exactly: 1) } == [UInt8(number)])
          peer.close()
        }
        #expect(listener.statistics.backOffs > 0)
        #expect(listener.statistics.accepted == 20)
        #expect(listener.statistics.failed == 0)
        listener.close()
        try await server.value
      }
    }
  }

  @Test func `L-60 without a descriptor the loop sleeps, calls accept seldom, and connections wait`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop { loop, _ in
        try await warmUp(loop)
        let listener = try await loop.listen(on: .loopback(port: 0))
        let peers = try (0..<8).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        let limit = ProcessLimit.descriptors
        limit.leave(2)
        let streams = Shared<[TCPStream]>([])
        let server = loop.task { _ in for try await stream in listener { streams.update { $0.append(stream) } } }
        // How many were accepted before depends on what else closes or opens one just now: libdispatch does.
        while listener.statistics.backOffs == 0 { try await iterate(loop) }
        let before = (cpu: Process.ownCPUTime, iterations: loop.probe.iterations)
        try await loop.sleep(for: .seconds(1))
        let after = (cpu: Process.ownCPUTime, iterations: loop.probe.iterations)
        // 200 calls in 5 s and 2 % of a CPU are allowed. It takes seven calls, after 10, 20, 40 … ms.
        #expect(listener.statistics.backOffs <= 40)
        #expect(after.iterations - before.iterations <= 100)
        #expect(after.cpu - before.cpu < 200_000_000)

        limit.restore()
        while streams.value.count < 8 { try await iterate(loop) }
        #expect(streams.value.map(\.peerAddress) == peers.map(\.ownAddress))
        listener.close()
        try await server.value
      }
    }
  }

  // On a time that only the test moves, the pause of a listener never ends by itself.

  @Test func `L-60 the next connection is accepted at once when one of the loop's streams closes`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop(time: .manual) { loop, _ in
        try await warmUp(loop)
        let listener = try await loop.listen(on: .loopback(port: 0))
        let peers = try (0..<4).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        ProcessLimit.descriptors.leave(1)
        var stream = try await listener.accept()
        for peer in peers.dropFirst() {
          let before = listener.statistics.backOffs
          let next = loop.task { _ in try await listener.accept() }
          while listener.statistics.backOffs == before { try await iterate(loop) }
          stream.close()
          stream = try await next.value
          #expect(stream.peerAddress == peer.ownAddress)
        }
      }
    }
  }

  @Test func `L-60 a listener that closes gives its descriptor to one that has none`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop(time: .manual) { loop, _ in
        try await warmUp(loop)
        let other = try await loop.listen(on: .loopback(port: 0))
        let listener = try await loop.listen(on: .loopback(port: 0))
        let peer = try PlainSocket(connectingTo: listener.address.plain)
        ProcessLimit.descriptors.leave(0)
        let next = loop.task { _ in try await listener.accept() }
        while listener.statistics.backOffs == 0 { try await iterate(loop) }
        other.close()
        #expect(try await next.value.peerAddress == peer.ownAddress)
      }
    }
  }

  @Test func `L-60 a descriptor that others free is found when the pause is over, which doubles to a second`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop(time: .manual) { loop, _ in
        try await warmUp(loop)
        let listener = try await loop.listen(on: .loopback(port: 0))
        let peer = try PlainSocket(connectingTo: listener.address.plain)
        let limit = ProcessLimit.descriptors
        limit.leave(0)
        let next = loop.task { _ in try await listener.accept() }
        while listener.statistics.backOffs == 0 { try await iterate(loop) }
        for (number, pause) in [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000].enumerated() {
          try await loop.advance(by: .milliseconds(pause) - .nanoseconds(1))
          #expect(listener.statistics.backOffs == number + 1)
          if pause == 1_000 { break }
          try await loop.advance(by: .nanoseconds(1))
          #expect(listener.statistics.backOffs == number + 2)
        }
        limit.restore()
        try await loop.advance(by: .nanoseconds(1))
        #expect(try await next.value.peerAddress == peer.ownAddress)
        #expect(listener.statistics.backOffs == 8)
      }
    }
  }

  @Test func `a pause ends with its listener, whoever still waits for a descriptor`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop(time: .manual) { loop, _ in
        try await warmUp(loop)
        let listener = try await loop.listen(on: .loopback(port: 0))
        let stream = try await loop.connect(to: .address(listener.address))
        ProcessLimit.descriptors.leave(0)
        let next = loop.task { _ in _ = try await listener.accept() }
        while listener.statistics.backOffs == 0 { try await iterate(loop) }
        #expect(loop.probe.timers == 1)
        listener.close()
        #expect(loop.probe.timers == 0)
        try await expectCode(.handleClosed) { try await next.value }
        stream.close()
        try await iterate(loop)
      }
    }
  }

  @Test func `L-61 while other threads take each descriptor that comes free, the loop goes on and nobody is lost`()
    async
  {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop { loop, _ in
        try await warmUp(loop)
        let listener = try await loop.listen(on: .loopback(port: 0))
        let peers = try (0..<40).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        for (number, peer) in peers.enumerated() { try peer.sendAll([UInt8(number)]) }
        let limit = ProcessLimit.descriptors
        limit.leave(1)

        let (isOver, taken) = (Shared(false), Counter())
        let thieves = (0..<3).map { _ in
          PlainThread {
            var descriptors: [Int32] = []
            while !isOver.value {
              let descriptor = Posix.openNull()
              if descriptor >= 0 {
                descriptors.append(descriptor)
                taken.add()
              } else {
                usleep(20)
              }
            }
            for descriptor in descriptors { Posix.close(descriptor) }
          }
        }
        // They have it before the server does, which then finds none.
        while taken.value == 0 { try await iterate(loop) }
        let server = loop.task { _ in
          try await listener.serve { _, stream in for try await bytes in stream { try await stream.write(bytes) } }
        }
        var ticks = try loop.ticks(every: .milliseconds(10)).makeAsyncIterator()
        for _ in 0..<50 { _ = try await ticks.next(isolation: loop) }
        while listener.statistics.backOffs == 0 { try await iterate(loop) }
        isOver.value = true
        // Else whatever takes the last descriptor now, and keeps it, leaves none for the server.
        limit.restore()
        for thief in thieves { try await thief.join() }
        for (number, peer) in peers.enumerated() {
          #expect(try await onPlainThread { try peer.receive(exactly: 1) } == [UInt8(number)])
          peer.close()
        }
        #expect(listener.statistics.accepted == 40)
        listener.close()
        try await server.value
      }
    }
  }

  @Test func `connect and listen without a descriptor throw tooManyOpenFiles, and work when there is one`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await withSocketPath { path in
        try await onTestLoop { loop, _ in
          try await warmUp(loop)
          let tcp = try await loop.listen(on: .loopback(port: 0))
          let unix = try await loop.listen(on: .unix(path))
          let before = Process.loopDescriptors
          let limit = ProcessLimit.descriptors
          limit.leave(0)
          try await expectCode(.tooManyOpenFiles) { _ = try await loop.connect(to: .address(tcp.address)) }
          try await expectCode(.tooManyOpenFiles) { _ = try await loop.connect(to: .unix(path)) }
          try await expectCode(.tooManyOpenFiles) { _ = try await loop.listen(on: .loopback(port: 0)) }
          try await expectCode(.tooManyOpenFiles) { _ = try await loop.listen(on: .unix(path + "2")) }
          try await expectCode(.tooManyOpenFiles) { _ = try await loop.makePipe() }
          // One is not enough for two.
          limit.leave(1)
          try await expectCode(.tooManyOpenFiles) { _ = try await loop.makePipe() }
          limit.restore()
          #expect(Process.loopDescriptors == before)
          _ = try await loop.connect(to: .address(tcp.address))
          _ = try await loop.connect(to: .unix(path))
          unix.close()
        }
      }
    }
  }
}

/// libuv opens a descriptor to spare with the first stream of a loop. From here on each stream takes just one.
func warmUp(_ loop: EventLoop) async throws {
  let (first, second) = try await loop.makePipe()
  first.close()
  second.close()
  try await loop.run { loop in try await iterate(loop) }
}
