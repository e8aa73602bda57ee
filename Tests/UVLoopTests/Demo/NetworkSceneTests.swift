import Foundation
import Testing

@testable import UVLoop

/// `uv-hello echo` and `uv-hello fetch`, with peers that are not of the library.
@Suite(.sideBySide) struct NetworkSceneTests {
  /// Where a server says that it listens.
  private static func port(_ line: Substring) -> UInt16? {
    line.hasPrefix("   listening on") ? line.split(separator: ":").last.flatMap { UInt16($0) } : nil
  }

  @Test func `echo sends back what comes, and ends at an interrupt`() async throws {
    let answer = Shared<[UInt8]>([])
    let run = try await Demo.run(["echo", "--port", "0"]) { line in
      guard let port = Self.port(line) else { return nil }
      if let client = try? PlainSocket(connectingTo: .ipv4(port: port)) {
        try? client.sendAll("hello")
        try? client.shutdownWriting()
        answer.value = (try? client.receiveAll()) ?? []
      }
      return .interrupt
    }
    #expect(answer.value == Array("hello".utf8))
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.lines.contains("   ended by            SIGINT"))
    #expect(run.lines.contains("   connections         1"))
    #expect(run.lines.contains("   bytes sent back     5"))
  }

  @Test func `echo with several loops gives each its share of the connections, and drains all at an interrupt`()
    async throws
  {
    let open = Shared<[PlainSocket]>([])
    let run = try await Demo.run(["echo", "--port", "0", "--loops", "3"]) { line in
      guard let port = Self.port(line) else { return nil }
      for _ in 0..<6 {
        guard let client = try? PlainSocket(connectingTo: .ipv4(port: port)) else { continue }
        if (try? client.exchange("hello")) != "hello" { continue }
        open.update { $0.append(client) }
      }
      // Ends with the limit of the drain; the others are gone by then.
      for client in open.value.dropFirst() { client.close() }
      return .interrupt
    }
    #expect(open.value.count == 6)
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.lines.contains("   loops               echo-1, echo-2, echo-3"))
    #expect(run.lines.contains("   ended by            SIGINT"))
    #expect(run.lines.contains("   connections         6"))
    #expect(run.lines.contains("   bytes sent back     30"))
    #expect(run.lines.contains("   left open           0"))
    let first = try #require(open.value.first)
    #expect(try await onPlainThread { try first.receive() } == [])
  }

  @Test func `echo sends back datagrams`() async throws {
    let answers = Shared<[String?]>([])
    let run = try await Demo.run(["echo", "--udp", "--port", "0"]) { line in
      guard let port = Self.port(line) else { return nil }
      if let client = try? PlainDatagrams() {
        for question in ["hello", "", "again"] {
          try? client.send(Array(question.utf8), to: .ipv4(port: port))
          answers.update { $0.append((try? client.receive()).map { String(decoding: $0.bytes, as: UTF8.self) }) }
        }
      }
      return .interrupt
    }
    #expect(answers.value == ["hello", "", "again"])
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.lines.contains("   ended by            SIGINT"))
    #expect(run.lines.contains("   datagrams           3"))
    #expect(run.lines.contains("   bytes sent back     10"))
  }

  @Test func `echo has clients that send datagrams`() async throws {
    let run = try await Demo.run(["echo", "--udp", "--port", "0", "--clients", "2", "--for", "200ms"]) { _ in nil }
    #expect(run.status == 0)
    #expect(run.errors == "")
    let count = run.lines.compactMap { line in
      line.hasPrefix("   datagrams  ") ? line.split(separator: " ").last.flatMap { Int($0) } : nil
    }
    #expect(count.first ?? 0 > 2)
  }

  @Test(arguments: [["--unix", "/nowhere"], ["--loops", "2"]])
  func `echo with datagrams takes neither a path nor several loops`(others: [String]) async throws {
    let run = try await Demo.run(["echo", "--udp"] + others)
    #expect(run.status == 64)
    #expect(run.errors.contains("'--udp' is one socket"), "\(run.errors)")
  }

  @Test func `echo waits for a connection that is open, and drops it after two seconds`() async throws {
    let open = Shared<PlainSocket?>(nil)
    let start = ContinuousClock.now
    let run = try await Demo.run(["echo", "--port", "0"]) { line in
      guard let port = Self.port(line) else { return nil }
      let client = try? PlainSocket(connectingTo: .ipv4(port: port))
      try? client?.sendAll("hello")
      _ = try? client?.receive(exactly: 5)
      open.value = client
      return .interrupt
    }
    #expect(start.duration(to: .now) >= .seconds(2))
    #expect(run.status == 0)
    #expect(run.lines.contains("   left open           0"))
    let client = try #require(open.value)
    #expect(try await onPlainThread { try client.receive() } == [])
  }

  @Test func `echo listens at a path, which is gone afterwards`() async throws {
    try await withSocketPath { path in
      let run = try await Demo.run(["echo", "--unix", path]) { line in
        guard line.hasPrefix("   listening on") else { return nil }
        let client = try? PlainSocket(connectingTo: .unix(path))
        try? client?.sendAll("hello")
        _ = try? client?.receive(exactly: 5)
        return .interrupt
      }
      #expect(run.status == 0)
      #expect(run.lines.contains("   bytes sent back     5"))
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  }

  @Test func `echo says that a port is taken`() async throws {
    let other = try PlainListener()
    let run = try await Demo.run(["echo", "--port", "\(other.port)"])
    #expect(run.status == 1)
    #expect(run.errors.contains("EADDRINUSE"), "\(run.errors)")
  }

  @Test func `fetch sends standard input, says that it has ended, and prints the answer`() async throws {
    let listener = try PlainListener()
    async let heard = onPlainThread {
      let client = try listener.accept()
      // All up to the end, which comes while the client still reads.
      let bytes = try client.receiveAll()
      try client.sendAll("an answer\nin two lines")
      return String(decoding: bytes, as: UTF8.self)
    }
    let run = try await withScratchFolder { folder in
      try "one\ntwo\n".write(toFile: "\(folder)/input", atomically: true, encoding: .utf8)
      return try await Demo.run(["fetch", "127.0.0.1:\(listener.port)"], input: "\(folder)/input")
    }
    #expect(try await heard == "one\ntwo\n")
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.lines.contains("   an answer"))
    #expect(run.lines.contains("   in two lines"))
    #expect(run.lines.contains("   sent                8 bytes"))
    #expect(run.lines.contains("   received            22 bytes"))
  }

  @Test func `fetch ends with the peer, though its input goes on`() async throws {
    let listener = try PlainListener()
    async let server: Void = onPlainThread { try listener.accept().sendAll("goodbye\n") }
    let run = try await withScratchFolder { folder in
      // Open for both, a named pipe has no end.
      let path = "\(folder)/pipe"
      #expect(unsafe mkfifo(path, 0o600) == 0)
      let pipe = unsafe open(path, O_RDWR)
      defer { Posix.close(pipe) }
      return try await Demo.run(["fetch", "127.0.0.1:\(listener.port)"], input: path)
    }
    try await server
    #expect(run.status == 0)
    #expect(run.lines.contains("   goodbye"))
  }

  @Test func `fetch shows a question that no line ends at once`() async throws {
    let listener = try PlainListener()
    let isSeen = Event("the question is seen")
    async let server: Void = onPlainThread {
      let client = try listener.accept()
      try client.sendAll("login: ")
      isSeen.waitBlocking()
      try client.sendAll("welcome\n")
    }
    let output = try await onPlainThread {
      var ends: [Int32] = [-1, -1]
      let child = try ChildProcess.startingAlone {
        if unsafe pipe(&ends) != 0 { throw SwiftCompiler.Failure("pipe: errno \(Posix.errno)") }
        defer { Posix.close(ends[1]) }
        return try ChildProcess(
          "\(SwiftCompiler.productsFolder)/uv-hello", ["fetch", "127.0.0.1:\(listener.port)"], environment: [],
          output: ends[1], errors: ends[1])
      }
      var text = ""
      while !text.hasSuffix("   login: ") {
        let bytes = PlainBytes.read(from: ends[0])
        if bytes.isEmpty { break }
        text += String(decoding: bytes, as: UTF8.self)
      }
      isSeen.signal()
      text += String(decoding: PlainBytes.readAll(from: ends[0]), as: UTF8.self)
      Posix.close(ends[0])
      #expect(child.wait() == 0)
      return text
    }
    try await server
    #expect(output.contains("   login: welcome\n"), "\(output)")
  }

  @Test func `a reader of fetch that has seen enough ends it without a word`() async throws {
    let listener = try PlainListener()
    async let server: Void = onPlainThread {
      let client = try listener.accept()
      while (try? client.sendAll("a line\n")) != nil {}
    }
    let output = try await PeerProgram.run(
      """
      errors=$(mktemp)
      (echo hello; cat /dev/zero) | \(SwiftCompiler.productsFolder)/uv-hello fetch 127.0.0.1:\(listener.port) \
        2> $errors | tail -n +4 | head -2
      cat $errors; rm $errors
      """)
    try await server
    #expect(String(decoding: output, as: UTF8.self) == "   a line\n   a line\n")
  }

  @Test func `fetch says that its input cannot be read, to the peer as well`() async throws {
    let listener = try PlainListener()
    let server = Task { try await onPlainThread { try listener.accept().receiveAll() } }
    let run = try await Demo.run(["fetch", "127.0.0.1:\(listener.port)"], input: "/")
    #expect(run.status == 1)
    #expect(run.errors.contains("EISDIR"), "\(run.errors)")
    await #expect(throws: PlainFailure("recv", errno: ECONNRESET)) { try await server.value }
  }

  @Test func `what comes after fetch has the pipe as it was`() async throws {
    let listener = try PlainListener()
    async let server: Void = onPlainThread {
      let client = try listener.accept()
      listener.close()
      try client.sendAll("goodbye\n")
    }
    let output = try await PeerProgram.run(
      """
      ended=$(mktemp -u)
      mkfifo $ended
      { read x < $ended; echo later; } | {
        \(SwiftCompiler.productsFolder)/uv-hello fetch 127.0.0.1:\(listener.port) > /dev/null
        echo > $ended
        cat
      }
      rm $ended
      """)
    try await server
    #expect(String(decoding: output, as: UTF8.self) == "later\n")
  }

  @Test func `fetch says that nobody listens`() async throws {
    let listener = try PlainListener()
    let port = listener.port
    listener.close()
    let run = try await Demo.run(["fetch", "127.0.0.1:\(port)"])
    #expect(run.status == 1)
    #expect(run.errors.contains("ECONNREFUSED"), "\(run.errors)")
  }
}
