import Testing

@testable import UVLoop

/// Programs that many people use, as clients and as servers.
@Suite(.alone) struct InteroperationTests {
  private static let hint: Comment = "This program is not installed: Scripts/setup --peers."
  /// More than all buffers on the way hold.
  private static let count = 5_000_000

  // MARK: As a server

  @Test(.enabled(if: PeerProgram.isInstalled("nc"), hint))
  func `nc gets back all that it sends, and ends when both sides have ended`() async throws {
    try await Self.serving(TCPEndpoint.loopback(port: 0)) { listener in
      let port = try #require(listener.address.port)
      let answer = try await Self.echo("nc -N 127.0.0.1 \(port)")
      #expect(answer == "same")
    }
  }

  @Test(.enabled(if: PeerProgram.isInstalled("socat"), hint), arguments: ["path", "abstract"])
  func `socat gets back all that it sends over a Unix socket`(kind: String) async throws {
    try await withSocketPath { path in
      let isPath = kind == "path"
      try await Self.serving(try UnixEndpoint.unix(isPath ? path : "@\(path)")) { _ in
        let address = isPath ? "UNIX-CONNECT:\(path)" : "ABSTRACT-CONNECT:\(path)"
        let answer = try await Self.echo("socat -t 60 - \(address)")
        #expect(answer == "same")
      }
    }
  }

  @Test(.enabled(if: PeerProgram.isInstalled("curl"), hint))
  func `curl gets pages over a Unix socket and over TCP, several over one connection`() async throws {
    try await withSocketPath { path in
      try await Self.serving(try UnixEndpoint.unix(path), Self.page) { _ in
        let urls = (1...3).map { "http://localhost/\($0)" }.joined(separator: " ")
        let output = try await PeerProgram.run("curl -sS --max-time 60 --unix-socket '\(path)' \(urls)")
        #expect(String(decoding: output, as: UTF8.self) == "page /1\npage /2\npage /3\n")
      }
    }
    try await Self.serving(TCPEndpoint.loopback(port: 0), Self.page) { listener in
      let output = try await PeerProgram.run("curl -sS --max-time 60 http://\(listener.address)/here")
      #expect(String(decoding: output, as: UTF8.self) == "page /here\n")
    }
  }

  @Test(.enabled(if: PeerProgram.isInstalled("python3"), hint), arguments: ["socket", "asyncio"])
  func `Python gets back all that it sends, and ends its side first`(module: String) async throws {
    try await Self.serving(TCPEndpoint.loopback(port: 0)) { listener in
      let port = try #require(listener.address.port)
      let output = try await PeerProgram.run("python3 -c '\(Self.pythonClient[module]!)' \(port) \(Self.count)")
      #expect(String(decoding: output, as: UTF8.self) == "same\n")
    }
  }

  // MARK: As a client

  @Test(.enabled(if: PeerProgram.isInstalled("socat"), hint))
  func `socat sends back all that it gets`() async throws {
    try await withSocketPath { path in
      try await PeerProgram.serving("socat -t 60 UNIX-LISTEN:\(path) EXEC:cat") {
        try await Self.expectEcho(at: path, count: Self.count)
      }
    }
  }

  @Test(.enabled(if: PeerProgram.isInstalled("python3"), hint))
  func `a server of asyncio sends back all that it gets`() async throws {
    try await withSocketPath { path in
      try await PeerProgram.serving("python3 -c '\(Self.pythonServer)' \(path)") {
        try await Self.expectEcho(at: path, count: Self.count)
      }
    }
  }

  // MARK: Private

  private typealias Body = @Sendable (_ loop: isolated EventLoop, _ stream: ByteStream) async throws -> Void

  private static let copy: Body = { _, stream in try await stream.copy(to: stream) }

  /// Answers requests of HTTP/1.1 without bodies until the client has no more.
  private static let page: Body = { _, stream in
    while let request = try await stream.readLine() {
      while let header = try await stream.readLine(), !header.isEmpty {}
      let body = "page \(request.split(separator: " ")[1])\n"
      try await stream.write("HTTP/1.1 200 OK\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
    }
  }

  private static func serving<Stream: ByteStream>(
    _ endpoint: StreamEndpoint<Stream>, _ answer: @escaping Body = copy,
    _ body: (Listener<Stream>) async throws -> Void
  ) async throws {
    try await withTestLoop { loop, _ in
      let listener = try await loop.listen(on: endpoint)
      let server = Task { try await listener.serve { loop, stream in try await answer(loop, stream) } }
      try await body(listener)
      await expectEventually { listener.statistics.open == 0 }
      #expect(listener.statistics.failed == 0)
      listener.close()
      try await server.value
    }
  }

  /// Sends bytes through a client and compares what comes back.
  private static func echo(_ client: String) async throws -> String {
    try await withScratchFolder { folder in
      let output = try await PeerProgram.run(
        """
        head -c \(count) /dev/urandom >\(folder)/sent && \(client) <\(folder)/sent >\(folder)/back &&
          cmp \(folder)/sent \(folder)/back && printf same
        """)
      return String(decoding: output, as: UTF8.self)
    }
  }

  private static func expectEcho(at path: String, count: Int) async throws {
    try await onTestLoop { loop, _ in
      let connected = Shared<ByteStream?>(nil)
      // It listens when it is ready.
      await expectEventually {
        connected.value = try? await loop.connect(to: try .unix(path))
        return connected.value != nil
      }
      let stream = try #require(connected.value)
      let pattern = Pattern(seed: 5)
      let writing = loop.task { _ in
        try await stream.write(pattern.bytes(count: count))
        try await stream.finishWriting()
      }
      let back = try await stream.readAll(limit: count + 1)
      try await writing.value
      #expect(back.count == count && pattern.firstDifference(in: back) == nil)
      stream.close()
    }
  }

  private static let pythonClient = [
    "socket": """
    import os, socket, sys, threading
    data = os.urandom(int(sys.argv[2]))
    peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    def send():
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send)
    sender.start()
    back = b"".join(iter(lambda: peer.recv(65536), b""))
    sender.join()
    print("same" if back == data else "different")
    """,
    "asyncio": """
    import asyncio, os, sys
    async def main():
        data = os.urandom(int(sys.argv[2]))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
        async def send():
            writer.write(data)
            await writer.drain()
            writer.write_eof()
        back, _ = await asyncio.gather(reader.read(), send())
        print("same" if back == data else "different")
        writer.close()
    asyncio.run(main())
    """,
  ]

  private static let pythonServer = """
    import asyncio, sys
    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        writer.close()
    async def main():
        server = await asyncio.start_unix_server(echo, sys.argv[1])
        await server.serve_forever()
    asyncio.run(main())
    """
}
