import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What connecting leaves behind, counted in processes of their own.
@Suite(.alone) struct ConnectLeakTests {
  @Test func `L-06 a connect that is cancelled at a random moment closes its descriptor once, and no other`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await withTestLoop { loop, _ in
        try await warmUp(loop)
        let silent = try SilentListener()
        let answering = try await loop.listen(on: .loopback(port: 0))
        let endpoints = [try silent.address, answering.address, .loopback(port: 1)]
        let before = Process.loopDescriptors
        var taken: [Int32] = []
        let random = SplitMix(seed: 6)
        for round in 0..<UInt64(600) {
          let address = endpoints[Int(round % 3)]
          let connect: @Sendable () async throws -> Void = { try await loop.connect(to: .address(address)).close() }
          let task = round % 2 == 0 ? Task { try await connect() } : loop.task { _ in try await connect() }
          for _ in 0..<random[round] % 24 { await Task.yield() }
          task.cancel()
          // Whatever number comes free is somebody else's at once.
          taken.append(Posix.openNull())
          do { try await task.value } catch is CancellationError {} catch let error as UVError {
            #expect(error.code == .connectionRefused)
          }
          taken.append(Posix.openNull())
        }
        for descriptor in taken {
          #expect(Files.target(of: "/proc/self/fd/\(descriptor)") == "/dev/null")
          Posix.close(descriptor)
        }
        // Those that were connected wait in the queue.
        answering.close()
        await expectEventually { Process.loopDescriptors.isSubset(of: before) }
      }
    }
  }

  @Test func `L-72 the attempt that has lost leaves no descriptor`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await onTestLoop { loop, _ in
        try await warmUp(loop)
        let silent = try SilentListener(on: .ipv4().at127(2))
        let plain = try PlainListener()
        let addresses = [try silent.address, .loopback(port: plain.port)]
        try await loop.connect(to: .address(addresses[1])).close()
        try plain.accept().close()
        try await iterate(loop)
        let before = Process.loopDescriptors.count
        var options = ByteStream.Options()
        options.attemptDelay = .milliseconds(20)
        for _ in 0..<5 {
          let clock = loop.clock
          let start = clock.now
          let stream = try await loop.probe.connect(to: addresses, options)
          #expect(start.duration(to: clock.now) >= .milliseconds(20))
          #expect(stream.peerAddress == addresses[1])
          stream.close()
          try plain.accept().close()
          try await iterate(loop)
          #expect(Process.loopDescriptors.count == before)
        }
      }
    }
  }

  @Test func `L-74 the timeout covers the look-up, which is taken out of the pool's queue`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await withTestLoop { loop, _ in
        try await warmUp(loop)
        let workers = try await HeldWorkers(4, on: loop)
        let before = Process.loopDescriptors
        let held = await loop.run { $0.probe.requests.count }
        let error = await #expect(throws: UVError.self) {
          _ = try await loop.connect(to: .tcp("localhost", 1), timeout: .milliseconds(50))
        }
        #expect(error?.code == .timedOut)
        #expect(error?.message.contains("tcp://localhost:1") == true)
        await expectEventually { await loop.run { $0.probe.requests.count } == held }
        #expect(Process.loopDescriptors == before)
        #expect(await loop.run { $0.probe.timers } == 0)
        try await workers.release()
        try await expectCode(.connectionRefused) {
          _ = try await loop.connect(to: .tcp("localhost", 1), timeout: .seconds(60))
        }
      }
    }
  }

  @Test func `L-75 a scan of 1 000 ports with 200 at a time leaves as many descriptors as before`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await withTestLoop { loop, _ in
        try await warmUp(loop)
        // Below the ports that the system gives out itself: a connect to one of those could reach its own socket.
        let ports = UInt16(20_000)..<21_000
        let listeners = ports.enumerated().filter { $0.offset % 100 == 7 }.compactMap { port in
          try? PlainListener(on: .ipv4(port: port.element))
        }
        try #require(!listeners.isEmpty)
        let before = Process.loopDescriptors
        let open = try await withThrowingTaskGroup(of: UInt16?.self) { group in
          var open: Set<UInt16> = []
          var next = ports.makeIterator()
          func add() {
            guard let port = next.next() else { return }
            group.addTask {
              do {
                try await loop.connect(to: .loopback(port: port), timeout: .seconds(10)).close()
                return port
              } catch let error as UVError where error.code == .connectionRefused {
                return nil
              }
            }
          }
          for _ in 0..<200 { add() }
          while let port = try await group.next() {
            if let port { open.insert(port) }
            add()
          }
          return open
        }
        #expect(open.isSuperset(of: listeners.map(\.port)))
        await expectEventually { Process.loopDescriptors == before }
        #expect(await loop.run { $0.probe.timers } == 0)
      }
    }
  }

  // libuv hears before the next poll that nobody waits at a descriptor any more. Until then it watches its number, and
  // lets nobody else.

  @Test func `a connection may have the number that a PollHandle has just waited for`() async {
    await #expect(processExitsWith: .success) {
      try await warmUpProcess()
      try await withSocketPath { path in
        try await onTestLoop { loop, _ in
          try await warmUp(loop)
          let tcp = try await loop.listen(on: .loopback(port: 0))
          let unix = try await loop.listen(on: .unix(path))
          for kind in 0..<3 {
            let pair = SocketPair()
            let number = pair.watched
            let poll = try PollHandle(descriptor: number)
            pair.feed()
            #expect(try await poll.wait(for: .readable) == .readable)
            pair.closeFirst()
            switch kind {
            case 0:
              let stream = try await loop.connect(to: .address(tcp.address))
              #expect(try number == (stream.withUnsafeDescriptor(isolation: loop) { $0 }))
              try await stream.write("tcp")
              #expect(try await tcp.accept().read(exactly: 3) == Array("tcp".utf8))
            case 1:
              let stream = try await loop.connect(to: .unix(path))
              #expect(try number == (stream.withUnsafeDescriptor(isolation: loop) { $0 }))
              try await stream.write("unix")
              #expect(try await unix.accept().read(exactly: 4) == Array("unix".utf8))
            default:
              let listener = try await loop.listen(on: .loopback(port: 0))
              #expect(try number == (listener.withUnsafeDescriptor(isolation: loop) { $0 }))
              let peer = try PlainSocket(connectingTo: listener.address.plain)
              #expect(try await listener.accept().peerAddress == peer.ownAddress)
            }
            poll.close()
          }
        }
      }
    }
  }
}
