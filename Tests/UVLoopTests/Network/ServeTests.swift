import Testing

@testable import UVLoop

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Serving connections, each in a task of its own.
@Suite(.sideBySide) struct ServeTests {
  @Test func `L-01 25 clients send and receive 1 MiB each, intact`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let server = Task {
        try await listener.serve { _, stream in for try await bytes in stream { try await stream.write(bytes) } }
      }
      let address = listener.address.plain
      try await withThrowingTaskGroup { group in
        for client in 0..<25 {
          group.addTask {
            let pattern = Pattern(seed: UInt64(client))
            let difference = try await onPlainThread(within: .seconds(60)) {
              let peer = try PlainSocket(connectingTo: address)
              let echo = try peer.exchange(pattern.bytes(count: 1 << 20))
              return (echo.count, pattern.firstDifference(in: echo))
            }
            #expect(difference == (1 << 20, nil))
          }
        }
        try await group.waitForAll()
      }
      #expect(listener.statistics.accepted == 25)
      listener.close()
      try await server.value
    }
  }

  @Test func `a handler runs on the loop, in a task that is named after both ends`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let names = Shared<[String?]>([])
      let server = Task {
        try await listener.serve { loop, stream in
          #expect(loop.isCurrent)
          names.update { $0.append(Task.name) }
          try await loop.sleep(for: .zero)
          #expect(loop.isCurrent)
        }
      }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      let own = try #require(peer.ownAddress)
      #expect(try await onPlainThread { try peer.receiveAll() } == [])
      #expect(names.value == ["\(listener.address) < \(own)"])
      listener.close()
      try await server.value
    }
  }

  @Test func `a handler may have a timer of the loop's, and keeps it across its waits`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let server = Task {
        try await listener.serve { _, stream in
          let beat = try TimerHandle()
          defer { beat.close() }
          try beat.start(after: .milliseconds(1), repeating: .milliseconds(1)) { _ = try? stream.enqueue([1]) }
          for try await _ in stream {}
        }
      }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      #expect(try await onPlainThread { try peer.receive(exactly: 5) } == [1, 1, 1, 1, 1])
      peer.close()
      await expectEventually { listener.statistics.open == 0 }
      listener.close()
      try await server.value
    }
  }

  @Test func `L-65 with a limit of two the third connection is accepted when one has ended, and not before`()
    async throws
  {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let server = Task {
        try await listener.serve(limit: 2) { _, stream in
          for try await bytes in stream { try await stream.write(bytes) }
        }
      }
      let peers = try (0..<5).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      for number in peers.indices {
        #expect(try await onPlainThread { try peers[number].exchange("here") } == "here")
        // Those behind have not been accepted, however often the loop goes round.
        await expectEventually { listener.statistics.accepted == min(number + 2, 5) }
        await expectEventually { listener.statistics.open == min(2, 5 - number) }
        try await loop.run { loop in try await iterate(loop, times: 10) }
        #expect(listener.statistics.accepted == min(number + 2, 5))
        #expect(listener.statistics.open == min(2, 5 - number))
        peers[number].close()
      }
      await expectEventually { listener.statistics.open == 0 }
      listener.close()
      try await server.value
      try await expectCode(.invalidArgument) { try await listener.serve(limit: 0) { _, _ in } }
    }
  }

  @Test(arguments: [nil, 5])
  func `connections that have come together are accepted at once, as many as there is room for`(limit: Int?)
    async throws
  {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let peers = try (0..<20).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      let seen = Shared<[(peer: SocketAddress?, accepted: Int)]>([])
      let server = Task {
        try await listener.serve(limit: limit ?? .max) { loop, stream in
          seen.update { $0.append((stream.peerAddress, listener.statistics.accepted)) }
          if limit == nil { try await stream.finishWriting() } else { _ = try await stream.read() }
        }
      }
      await expectEventually { seen.value.count == limit ?? 20 }
      #expect(seen.value[0].accepted == limit ?? 20)
      #expect(seen.value.map(\.peer) == peers.prefix(limit ?? 20).map(\.ownAddress))
      for peer in peers { peer.close() }
      await expectEventually { seen.value.count == 20 && listener.statistics.open == 0 }
      listener.close()
      try await server.value
    }
  }

  @Test func `who was accepted when serve was cancelled is the next one's`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let trigger = try await loop.connect(to: .loopback(port: #require(listener.address.port)))
      let stream = try await listener.accept()
      let served = Shared(0)
      let server = loop.task { _ in try await listener.serve { _, _ in served.update { $0 += 1 } } }
      await expectEventually { await loop.run { _ in listener.inner.isAwaited } }
      // In this order in one poll: the listener is readable, and the stream.
      let peers = try await loop.run { _ in
        try stream.startReading({ _ in server.cancel() }, atEnd: { _ in })
        let peers = try (0..<5).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        #expect(try trigger.tryWrite([1]) == 1)
        return peers
      }
      try await expectCancelled { try await server.value }
      #expect(listener.statistics.accepted == 6 && served.value < 5)
      try await expectCode(.busy) { _ = try await listener.detach() }
      for _ in served.value..<5 { _ = try await listener.accept() }
      #expect(listener.statistics.accepted == 6)
      listener.close()
      _ = consume peers
    }
  }

  @Test func `who was accepted when the listener was closed is served`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let trigger = try await loop.connect(to: .loopback(port: #require(listener.address.port)))
      let stream = try await listener.accept()
      let served = Shared(0)
      let server = loop.task { _ in
        try await listener.serve { _, stream in
          served.update { $0 += 1 }
          try await stream.write([7])
        }
      }
      await expectEventually { await loop.run { _ in listener.inner.isAwaited } }
      // In this order in one poll: the listener is readable, and the stream.
      let peers = try await loop.run { _ in
        try stream.startReading({ _ in listener.close() }, atEnd: { _ in })
        let peers = try (0..<5).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
        #expect(try trigger.tryWrite([1]) == 1)
        return peers
      }
      for peer in peers {
        #expect(try await onPlainThread { try peer.receiveAll() } == [7])
        peer.close()
      }
      try await server.value
      #expect(served.value == 5 && listener.statistics.accepted == 6)
    }
  }

  @Test func `L-66 a handler that throws ends its connection alone, and onFailure gets the error once`() async throws {
    struct Odd: Error, Equatable { let number: UInt8 }
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let failures = Shared<[(SocketAddress?, any Error)]>([])
      let server = Task {
        try await listener.serve(onFailure: { address, error in failures.update { $0.append((address, error)) } }) {
          _, stream in
          for try await bytes in stream {
            if bytes[0] % 2 == 1 { throw Odd(number: bytes[0]) }
            try await stream.write(bytes)
          }
        }
      }
      let peers = try (0..<6).map { _ in try PlainSocket(connectingTo: listener.address.plain) }
      for (number, peer) in peers.enumerated() {
        let isOdd = number % 2 == 1
        try peer.sendAll([UInt8(number)])
        #expect(try await onPlainThread { try peer.receive(exactly: 1) } == (isOdd ? [] : [UInt8(number)]))
      }
      for number in [0, 2, 4] {
        #expect(try await onPlainThread { try peers[number].exchange([8]) } == [8])
      }
      #expect(failures.value.map(\.0) == [1, 3, 5].map { peers[$0].ownAddress })
      #expect(failures.value.map { $0.1 as? Odd } == [Odd(number: 1), Odd(number: 3), Odd(number: 5)])
      #expect(listener.statistics.open == 3)
      #expect(listener.statistics.failed == 0)
      listener.close()
      for peer in peers { peer.close() }
      try await server.value
      #expect(failures.value.count == 3)
    }
  }

  @Test func `L-66 a handler that throws resets its connection if bytes were left unread`() async throws {
    struct Refused: Error {}
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let server = Task {
        try await listener.serve { _, stream in
          _ = try await stream.read(exactly: 1)
          throw Refused()
        }
      }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      try peer.sendAll("two lines\nor so\n")
      await #expect(throws: PlainFailure("recv", errno: ECONNRESET)) {
        try await onPlainThread { _ = try peer.receiveAll() }
      }
      listener.close()
      try await server.value
    }
  }

  @Test func `what a handler does with CancellationError is no failure`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let server = Task {
        try await listener.serve(onFailure: { _, error in Issue.record("\(error)") }) { _, _ in
          throw CancellationError()
        }
      }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      #expect(try await onPlainThread { try peer.receiveAll() } == [])
      listener.close()
      try await server.value
    }
  }

  @Test func `serving twice is busy, and so are accept beside serve and serve beside accept`() async throws {
    try await onTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let server = loop.task { _ in
        try await listener.serve { _, stream in for try await bytes in stream { try await stream.write(bytes) } }
      }
      try await waitForAcceptors(at: listener, on: loop)
      try await expectCode(.busy) { try await listener.serve { _, _ in } }
      try await expectCode(.busy) { _ = try await listener.accept() }
      let peer = try PlainSocket(connectingTo: listener.address.plain)
      #expect(try await onPlainThread { try peer.exchange("undisturbed") } == "undisturbed")
      server.cancel()
      try await expectCancelled { try await server.value }

      let accept = loop.task { _ in try await listener.accept() }
      try await waitForAcceptors(at: listener, on: loop)
      try await expectCode(.busy) { try await listener.serve { _, _ in } }
      let next = try PlainSocket(connectingTo: listener.address.plain)
      #expect(try await accept.value.peerAddress == next.ownAddress)
    }
  }

  @Test func `serving again after a cancellation works, and takes who came meanwhile`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      for round in 1...3 {
        let waiting = try PlainSocket(connectingTo: listener.address.plain)
        let server = Task {
          try await listener.serve { _, stream in
            try await stream.write("round \(round)")
            for try await _ in stream {}
          }
        }
        #expect(try await onPlainThread { try waiting.receive(exactly: 7) } == Array("round \(round)".utf8))
        server.cancel()
        try await expectCancelled { try await server.value }
        #expect(try await onPlainThread { try waiting.receiveAll() } == [])
        #expect(!listener.isClosed)
        #expect(listener.statistics.open == 0)
      }
    }
  }
}
