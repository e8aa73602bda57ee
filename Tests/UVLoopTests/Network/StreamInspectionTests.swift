import Testing

@testable import UVLoop

/// What a loop tells of its streams and listeners.
@Suite(.sideBySide) struct StreamInspectionTests {
  @Test func `L-90 a snapshot names a stream with both ends, who waits, and what is queued`() async throws {
    try await onTestLoop { loop, _ in
      let peer = try PlainListener()
      let stream = try await loop.connect(to: .loopback(port: peer.port))
      let accepted = try peer.accept()
      let reader = Task { try await stream.read() }
      await expectEventually { loop.snapshot().streams.first?.isReading == true }

      let open = try #require(loop.snapshot().streams.first)
      #expect(open.kind == "TCPStream" && open.peerAddress == "127.0.0.1:\(peer.port)")
      #expect(open.localAddress == stream.localAddress?.description && open.queuedBytes == 0)
      let text = loop.snapshot().description
      #expect(
        text.contains("streams: 1 (TCPStream \(open.localAddress ?? "") > 127.0.0.1:\(peer.port), read from)"),
        "\(text)")

      try accepted.sendAll("hello")
      #expect(try await reader.value == Array("hello".utf8))
      // More than the kernel's buffers hold: some of it stays here.
      #expect(try stream.enqueue([UInt8](repeating: 1, count: 16 << 20)))
      let full = try #require(loop.snapshot().streams.first)
      #expect(!full.isReading && full.bytesRead == 5 && full.bytesWritten > 0)
      #expect(full.queuedBytes + Int(full.bytesWritten) == 16 << 20)
      #expect(loop.snapshot().description.contains("\(full.queuedBytes) bytes queued"))

      stream.close()
      #expect(loop.snapshot().streams.isEmpty)
    }
  }

  @Test func `L-90 a snapshot names a listener and what has come of it, also from outside`() async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: .loopback(port: 0))
      let client = try PlainSocket(connectingTo: .ipv4(port: listener.address.port ?? 0))
      let stream = try await listener.accept()
      let snapshot = try loop.snapshotFromOutside()
      let found = try #require(snapshot.listeners.first)
      #expect(found.address == listener.address.description)
      #expect(found.statistics.accepted == 1 && found.statistics.open == 0 && found.statistics.backOffs == 0)
      #expect(snapshot.streams.map(\.peerAddress) == [stream.peerAddress?.description])
      #expect(snapshot.description.contains("listeners: 1 (\(listener.address), 0 open, 1 accepted)"))
      listener.close()
      stream.close()
      client.close()
      await expectEventually { (try? loop.snapshotFromOutside().listeners.isEmpty) == true }
    }
  }

  @Test func `L-90 metrics count the bytes of all streams, and the connections`() async throws {
    try await onTestLoop { loop, _ in
      let before = loop.metrics
      let listener = try await loop.listen(on: .loopback(port: 0))
      for _ in 0..<3 {
        let client = try await loop.connect(to: .loopback(port: listener.address.port ?? 0))
        let server = try await listener.accept()
        try await client.write([1, 2, 3])
        #expect(try await server.read(exactly: 3) == [1, 2, 3])
        client.close()
        server.close()
      }
      let now = loop.metrics
      #expect(now.connectionsAccepted - before.connectionsAccepted == 3 && now.acceptBackOffs == 0)
      #expect(now.bytesRead - before.bytesRead == 9 && now.bytesWritten - before.bytesWritten == 9)
    }
  }

  @Test func `L-90 what tasks still had at the end of a shutdown's time is named in its report`() async throws {
    let loop = try EventLoop(.init(name: "late"))
    let peer = try PlainListener()
    let listener = try await loop.listen(on: .loopback(port: 0))
    let hasStream = Event("the task has its stream")
    let mayEnd = Event("the task may end")
    let task = loop.task(name: "holder") { loop in
      let stream = try await loop.connect(to: .loopback(port: peer.port))
      hasStream.signal()
      // It does not hear of its cancellation.
      await Task { try? await mayEnd.wait() }.value
      return stream.isClosed
    }
    try await hasStream.wait()
    let isServing = Event("the handler runs")
    let server = loop.task(name: "server") { _ in
      try await listener.serve { _, stream in
        stream.close()
        isServing.signal()
        await Task { try? await mayEnd.wait() }.value
      }
    }
    let guest = try PlainSocket(connectingTo: listener.address.plain)
    try await isServing.wait()
    let report = await loop.shutdown(within: .milliseconds(20))
    let streams = report.unfinished.filter { $0.kind == .stream }
    #expect(streams.count == 1 && streams[0].label?.hasSuffix("> 127.0.0.1:\(peer.port)") == true)
    #expect(report.unfinished.filter { $0.kind == .listener }.map(\.label) == ["\(listener.address)"])
    #expect(report.unfinished.filter { $0.kind == .task }.map(\.label) == ["holder", "server"])
    mayEnd.signal()
    #expect(try await task.value)
    guest.close()
    await #expect(throws: (any Error).self) { try await server.value }
    await expectThreadGone(loop.thread)
  }
}
